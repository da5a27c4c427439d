"""What a verifier executes and compares, by the model's interface: the inputs and every output, or an answer's tokens.

A generator is not executed again but checked, which takes the answer's tokens: see `forcing`. What a verifier seals of
either, and when it may see what, stands in `sealing` and `member`.
"""

from __future__ import annotations

from collections.abc import Sequence

from wire.errors import RecordError
from wire.generation import TOKENS
from wire.manifest import Manifest
from wire.tensors import Tensor

from .forcing import compare_tokens
from .tolerance import Comparison, compare


def to_execute(manifest: Manifest, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Tensor]:
    """What a verifier gives its engine, which is its own execution of an answer with these `outputs`."""
    if manifest.interface != "generate":
        return list(inputs)
    tokens = next((t for t in outputs if t.name == TOKENS.name), None)
    if tokens is None:
        raise RecordError("a generator's answer has tokens, this one has none")
    return [*inputs, tokens]


def compare_outputs(manifest: Manifest, own: Sequence[Tensor], other: Sequence[Tensor], tolerance: float) -> Comparison:
    """`other` (the provider's outputs) against `own`, what the engine gave for `to_execute`. RecordError when a
    tensor's bytes are not what its header says."""
    return (compare_tokens if manifest.interface == "generate" else compare)(own, other, tolerance)
