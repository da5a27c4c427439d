"""Meeting peers of the same network through another, public one, as its guest.

A peer leaves word there of where it is, under a key made from the network's name, and finds those who did the same.
Nothing else passes between the two: what is dialled for this has a swarm of its own, for as long as one errand takes.
"""
