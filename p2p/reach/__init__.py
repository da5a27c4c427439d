"""Whether others can reach this peer, where, and who found that out."""
