"""The ladder in a node: `giving` at a provider, `getting` at who asks, and a module a rung that does both.

`verify.tiers` checks what they make, whoever made it.
"""
