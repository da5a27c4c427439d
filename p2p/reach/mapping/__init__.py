"""Asking the router in between to let others in: UPnP, PCP and NAT-PMP, whichever it speaks.

What a router grants is a candidate and no more: others are told of it once peers have dialled it.
"""
