"""A circuit record with made-up contents, for tests that care for its shape alone."""

from __future__ import annotations

from tests.verify.scenes import NOW, key_of
from wire.circuit import VERIFIER_SRS, Circuit, CircuitFile
from wire.tensors import TensorSpec


def a_circuit() -> Circuit:
    return Circuit(
        model=b"\1" * 32,
        publisher=key_of("publisher").address,
        system="ezkl 23.0.5",
        graph=b"\2" * 32,
        settings=CircuitFile(blob=b"\3" * 32, size=1400),
        key=CircuitFile(blob=b"\4" * 32, size=9479),
        srs=CircuitFile(blob=b"\5" * 32, size=524_548),
        verifier_srs=(1).to_bytes(4, "little") + bytes(VERIFIER_SRS - 4),
        logrows=12,
        visibility="fixed",
        commitment=b"",
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(1, 4)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(1, 2)),),
        input_scales=(13,),
        output_scales=(13,),
        tolerance_ppb=350_000,
        proof_bytes=3072,
        prove_us=900_000,
        created_ms=NOW,
    )
