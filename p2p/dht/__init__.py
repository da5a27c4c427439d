"""The network's own Kademlia DHT: who has a model, what was said under a name, and where a peer is.

`table.py`, `providers.py` and `records.py` decide what this peer remembers, `../lookup.py` whom it asks; `serving.py`
and `asking.py` move the bytes of libp2p's kad-dht; `discovery.py` is what the rest of the program sees.
"""
