"""The node as its users have it: real processes, real libp2p, real models, and strangers who mean harm."""
