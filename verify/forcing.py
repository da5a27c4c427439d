"""Whether a generator's answer is what this verifier would have given, from one pass over the answer's own tokens.

A verifier does not generate again: it runs prompt and tokens through the model at once (`wire.generation`), and knows
for each place which token it would have drawn and how likely it held the answer's. Tokens are compared one by one: each
is the verifier's own, or, where two were so nearly tied that rounding decides, one that the profile's tolerance allows.
The scores are compared under the same tolerance: they show which model it was even where the text is the same, and
whether a verifier looked, since nobody can know them from the tokens. Text and end are what the tokens make, to the
byte.

The measure is |Δ| over the size of the logits that the token was drawn from: it is these that rounding moves, and a
score moves as they do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wire.arrays import as_float, to_array
from wire.generation import SCORES, TOKENS, forcing_signature, generator_signature
from wire.tensors import Tensor, TensorSpec, check_headers

from .bounds import NEAR_TIES_ONE_IN, SCORE_SCALE
from .distance import INCOMPARABLE, bucket
from .tolerance import Comparison

_Floats = npt.NDArray[np.float64]


def compare_tokens(own: Sequence[Tensor], other: Sequence[Tensor], tolerance: float) -> Comparison:
    """`other` (the provider's outputs) against `own`, what a check of their tokens gave. NaN and Inf fail closed.

    Never IDENTICAL: what a verifier seals of such an answer is another thing than the answer. RecordError when either
    are not a generator's, or a tensor's bytes are not what its header says.
    """
    has_text = any(t.name == "text" for t in other)
    _check(own, forcing_signature(has_text=has_text)[1])
    _check(other, generator_signature(has_text=has_text)[1])
    mine, theirs = ({t.name: t for t in tensors} for tensors in (own, other))
    for name in ("text", "finish"):
        if name in theirs and bytes(mine[name].data) != bytes(theirs[name].data):
            return _refused(f"{name} is not what its tokens make")
    tokens, scores = to_array(theirs[TOKENS.name]), as_float(theirs[SCORES.name])
    found, scales, gaps = (as_float(mine[name]) for name in ("scores", "scales", "gaps"))
    if not len(tokens) == len(scores) == len(found) == len(scales) == len(gaps) > 0:
        counts = (
            f"{len(tokens)} tokens with {len(scores)} scores, of which {len(found)} can be held against the model's"
        )
        return _refused(f"it gives {counts}")
    if not all(np.isfinite(values).all() for values in (scores, found, scales)):
        return _refused("a score is NaN or Inf")
    differences = np.abs(scores - found) / np.clip(scales, 1.0, SCORE_SCALE)
    return _judged(differences, np.where(gaps >= 0, gaps, np.inf), tolerance)


def _judged(differences: _Floats, gaps: _Floats, tolerance: float) -> Comparison:
    """From how far each token's score is off, and how near it was to being drawn, as shares of the scale."""
    far, off = int(gaps.argmax()), int(differences.argmax())
    if gaps[far] > tolerance:
        return Comparison(False, bucket(float(gaps[far])), f"token {far} is not the one that is drawn there")
    if differences[off] > tolerance:
        distance = bucket(float(differences[off]))
        by = f"{differences[off]:.1e} of its logits' size, the tolerance is {tolerance:g}"
        return Comparison(False, distance, f"the score of token {off} differs by {by}")
    ties, most = int((gaps > 0).sum()), 1 + len(gaps) // NEAR_TIES_ONE_IN
    worst = float(max(gaps[far], differences[off]))
    if ties > most:
        return Comparison(False, bucket(worst), f"{ties} of its {len(gaps)} tokens were nearly others, {most} may be")
    return Comparison(True, bucket(worst), f"the same {len(gaps)} tokens, {ties} of them near ties, within {worst:.1e}")


def _check(tensors: Sequence[Tensor], specs: Sequence[TensorSpec]) -> None:
    for tensor in tensors:
        tensor.check()
    check_headers([t.header for t in tensors], specs, "outputs")


def _refused(reason: str) -> Comparison:
    return Comparison(False, INCOMPARABLE, reason)
