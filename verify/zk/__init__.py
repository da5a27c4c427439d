"""Zero-knowledge proofs without the arithmetic: what a proof would have to state, and what must hold around it.

EZKL itself runs elsewhere, in a contained process (`engine.zk`): see `arithmetic` for how the two meet. No I/O here.
"""
