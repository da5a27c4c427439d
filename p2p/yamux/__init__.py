"""Yamux, which carries many streams over one connection and lets none of them fill our memory.

`frames` are the bytes, `windows` what may come on a stream, `machine` decides; `connection` and `stream` are what
libp2p sees of it, on trio. Source: the specification of yamux by HashiCorp, as libp2p uses it.
"""
