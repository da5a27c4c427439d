"""Gossip: the machines alone, a village of them under one clock, and real hosts."""
