"""ZK in a node: circuits registered, learnt of and kept; proofs made by a provider, and checked by who asked."""
