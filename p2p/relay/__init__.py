"""Circuits: relaying for others, being reached over relays, and getting from there to a direct connection.

`limits` and `service` are the relay; `reserving` and `client` hold reservations with relays; `circuit` dials and takes
relayed connections; `punch` and `upgrading` replace them by direct ones. Sources: libp2p's specifications of circuit
relay v2 and DCUtR.
"""
