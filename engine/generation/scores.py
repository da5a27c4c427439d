"""How likely the graph held a token to be: ln p under the softmax of its logits as they are, for any way of drawing.

Neither temperature nor a cut (top-k, top-p) enters: a greedy answer has scores as well, and so has a token that a cut
ruled out. Two honest machines differ in the last bits, so the last bits of `exp` need not be the same here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wire.arrays import Array

_BESIDE = 100.0  # a logit so far below the highest weighs nothing, whatever it is: masks are often -10,000, or -inf

Scores = npt.NDArray[np.float32]


def scores(logits: Array, tokens: Array) -> Scores:
    """The score of one token a row, [rows], from logits [rows, vocabulary]; NaN where the row holds no choice."""
    logits = _wide(logits)
    with np.errstate(invalid="ignore"):  # inf - inf
        below = logits - logits.max(axis=1, keepdims=True)
    chosen = below[np.arange(len(tokens)), tokens]
    total = np.exp(below, out=below).sum(axis=1, dtype=np.float64)
    found: Scores = (chosen - np.log(total)).astype(np.float32)
    return found


def scales(logits: Array) -> Scores:
    """How large the logits of each row are that weigh anything, [rows]; 1 at least. Rounding grows with it."""
    logits = _wide(logits)
    least = logits.max(axis=1, keepdims=True) - _BESIDE
    weighing = np.where(logits >= least, np.abs(logits), 0.0)
    found: Scores = np.maximum(weighing.max(axis=1), 1.0).astype(np.float32)
    return found


def _wide(logits: Array) -> Array:
    return logits.astype(np.result_type(logits.dtype, np.float32), copy=False)
