"""Whether others can reach a peer, and who says so."""
