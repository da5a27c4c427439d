"""Noise XX, which proves who is at the other end of a link and seals what passes over it.

`handshake` is the machine of the first three messages, `cipher` seals and opens those after them, and `transport` moves
the bytes as libp2p's secure transport. Source: libp2p's specification of noise.
"""
