"""What a verifier seals of its own execution, and what of an answer that is held against: all outputs, or scores alone.

Of a generator's answer a verifier has seen tokens, text and end when it executes; only its scores show that it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from typing_extensions import override

from wire.generation import SCORES
from wire.manifest import Manifest
from wire.tensors import Tensor, TensorLeaf, TensorSet, tensor_set

from .bounds import SCORE_SCALE
from .openings import Outputs


class _Scores(Outputs):
    """A generator's scores. How large the logits were is known to who executed alone, so a look at a block allows for
    the largest; without an execution nobody comes near."""

    @override
    def largest(self, place: int) -> float:
        return SCORE_SCALE


def sealed(manifest: Manifest, outputs: Sequence[Tensor]) -> Outputs:
    """That part of outputs, a verifier's own or the provider's, as blocks. RecordError when a tensor's bytes are not
    what its header says."""
    if manifest.interface != "generate":
        return Outputs(outputs)
    return _Scores([t for t in outputs if t.name == SCORES.name])


def unsealed(outputs: Sequence[Tensor]) -> list[Tensor]:
    """What of a generator's answer a verifier may see before it seals its own scores: all else, in order."""
    return [t for t in outputs if t.name != SCORES.name]


def shown_hash(unsealed: Sequence[Tensor], scores: bytes) -> bytes:
    """The hash of a generator's outputs, from those that may be seen and the hash of the scores' bytes; there is a
    score for each token, and they come last."""
    shape = unsealed[0].header.shape if unsealed else ()
    leaf = TensorLeaf(name=SCORES.name, datatype="FP32", shape=shape, content=scores, size=4 * prod(shape))
    return TensorSet(leaves=(*tensor_set(unsealed).leaves, leaf)).hash()
