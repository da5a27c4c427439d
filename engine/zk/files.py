"""The files that EZKL reads and writes, by their names in a worker's folder. It knows only paths."""

from __future__ import annotations

GRAPH = "model.onnx"
INPUT = "input.json"  # to calibrate with, and to prove
SETTINGS = "settings.json"
CIRCUIT = "circuit.ezkl"
SRS = "srs"
VERIFICATION_KEY = "vk.key"
PROVING_KEY = "pk.key"
WITNESS = "witness.json"
PROOF = "proof.json"
