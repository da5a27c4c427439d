"""EZKL in contained processes: circuits made, proofs made, proofs checked. Imports `wire` and the rest of the engine.

It lives here because it is what the engine is for: a stranger's model, or a stranger's proof, read by native code in a
process that can do nothing else. The node's side (`running`) never imports ezkl, and the worker's side never trio.
"""
