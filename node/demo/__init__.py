"""The demonstration: seven real peers on this machine, a real model, a liar among them, and a proved answer.

`story` is what a newcomer sees; `peers` starts and ends the processes; `magika` knows the model; `dishonest` is the
attacker, a small program of its own, so that no cheat stands in the node itself.
"""
