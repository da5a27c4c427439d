"""The chain in a running peer: opened, followed, and paid from."""
