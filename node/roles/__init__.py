"""The roles a peer may run, one a file. `node/opening.py` composes them; each runs under its nursery, and is started
again with back-off when it crashes."""
