"""Scores, bans, ranges and the doorkeeper: the machines alone, and real hosts under attack."""
