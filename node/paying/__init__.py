"""Paying for answers over channels on the network's chain: the payer's side, the provider's, and what the chain says.

The decisions are `settle.channel`'s. On a network without a chain nothing here runs.
"""
