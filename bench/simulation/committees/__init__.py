"""Committees under attack, in virtual time: how often a false answer is certified, and how often a true one is not.

The product's own machines decide: the draw, the round, what makes a word valid, and what certifies. Around them stands
a world of 1,000 peers with distances, losses, slow and dead ones, and a share of the stake in one adversary's hands
(`adversaries`). One seed gives one run, to the byte.
"""
