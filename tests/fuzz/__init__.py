"""Inputs by the thousand on every protocol that a stranger can open, made from good ones: the node lives, no larger."""
