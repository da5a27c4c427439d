"""`sampler.draw` for many positions at once, to the same bits: for whoever has all their logits.

One by one a small vocabulary's draw costs the calls of numpy and not the arithmetic. The rules, and why each sum goes
the way it goes, stand in `sampler`; here a row is a position, and what is not kept weighs 0, which changes no sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wire.arrays import Array

from .parameters import Parameters
from .sampler import Floats, dice, draw, exp

Ids = npt.NDArray[np.int64]
_BLOCK = 64 * 1024  # logits at once, so that all that is made of them stays small
_LARGE = 8 * 1024  # a vocabulary from which on one row at a time is as fast


def draws(logits: Array, parameters: Parameters, first: int) -> list[int]:
    """What `draw` gives for each row of [rows, vocabulary], at the positions from `first` on; all tops are finite."""
    if parameters.temperature == 0:
        best: list[int] = logits.argmax(axis=1).tolist()  # the lowest id of equals
        return best
    if logits.shape[1] >= _LARGE:
        return [draw(row, parameters, position) for position, row in enumerate(logits, first)]
    drawn: list[int] = []
    at_once = _BLOCK // logits.shape[1]
    for start in range(0, len(logits), at_once):
        rows = logits[start : start + at_once].astype(np.float64)
        drawn += _draws(rows, parameters, range(first + start, first + start + len(rows)))
    return drawn


def _draws(scores: Floats, parameters: Parameters, positions: Sequence[int]) -> list[int]:
    tops = scores.max(axis=1, keepdims=True)
    ids: Ids | None = None  # of the columns, one list a row; None while they are all
    if 0 < parameters.top_k < scores.shape[1]:
        ids = _most_likely(scores, parameters.top_k)
        scores = np.take_along_axis(scores, ids, axis=1)
    weights = exp((scores - tops) / parameters.temperature)
    if parameters.top_p < 1:
        weights = _nucleus(scores, weights, parameters.top_p)
    upto = np.cumsum(weights, axis=1)
    thrown = np.array([dice(parameters.seed, position) for position in positions])
    places = (upto <= (thrown * upto[:, -1])[:, None]).sum(axis=1)
    drawn: list[int] = (places if ids is None else ids[np.arange(len(ids)), places]).tolist()
    return drawn


def _most_likely(scores: Floats, k: int) -> Ids:
    """The ids of each row's k highest, ascending; of those that tie for the last places, the lowest ids."""
    least = np.partition(scores, -k, axis=1)[:, -k, None]
    kept, ties = scores > least, scores == least
    room = k - kept.sum(axis=1, keepdims=True)
    kept |= ties & (np.cumsum(ties, axis=1) <= room)
    return np.nonzero(kept)[1].reshape(-1, k)


def _nucleus(scores: Floats, weights: Floats, p: float) -> Floats:
    """The weights of each row's likeliest that make up the share `p` of all, at least one, and 0 for the others. The
    highest weight is 1."""
    totals = np.cumsum(weights, axis=1)[:, -1, None]
    # All below this together are less than what may be left out; sorting them too would take longer than the rest.
    possible = np.flatnonzero((weights >= np.minimum(1.0, (1 - p) * totals / weights.shape[1])).any(axis=0))
    order = possible[np.argsort(-scores[:, possible], axis=1, kind="stable")]
    ranked = np.take_along_axis(weights, order, axis=1)
    enough = (np.cumsum(ranked, axis=1) < p * totals).sum(axis=1, keepdims=True)
    ranked[np.arange(ranked.shape[1]) > enough] = 0.0
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, order, ranked, axis=1)
    return kept
