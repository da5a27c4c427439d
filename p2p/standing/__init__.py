"""Who behaves, who is refused and for how long, and who may take room here: machines and a file.

`score` remembers what peers did, `saved` keeps that over a restart, `ranges` says which addresses are neighbours, and
`doorkeeper` decides on connections by all of it; `ledger` and `slots` count what strangers take. `discipline` joins
them.
"""
