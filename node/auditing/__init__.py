"""Checks after the answer: asked for, made, told, kept.

`after` is what a payer does, `serving` what a verifier does, `news` what gossip brings, `record` how it is shown.
"""
