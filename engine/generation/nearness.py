"""How near another token was to being drawn: by how little the logits would have to be others.

Two honest machines have logits that differ by their rounding, so where two tokens are nearly tied the one draws this
and the other that. Here it is asked how large a change explains a given token, where each logit may move by so much in
either direction. What the rules of `sampler` then allow is bounded from outside, each bound by itself, so that an
honest draw is never called impossible.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wire.arrays import Array

from .parameters import Parameters
from .sampler import Floats, dice

MOST = 1e-2  # of the scale: beyond it nothing is called rounding, in any precision
_LEVELS = [MOST * 10 ** (-step / 8) for step in range(64, -1, -1)]  # from 1e-10 on
_LARGEST = 600.0  # e to the power of more is not to be summed

_Mask = npt.NDArray[np.bool_]


def gap(logits: Array, parameters: Parameters, position: int, token: int, scale: float) -> float:
    """The least change, as a share of `scale`, under which `token` can be drawn at `position`; up to a third too large.

    `logits` [vocabulary], the highest of them finite. Infinity where it would be above MOST.
    """
    values = logits.astype(np.float64)
    if not _possible(values, parameters, position, token, MOST * scale):
        return float("inf")
    low, high = 0, len(_LEVELS) - 1
    while low < high:
        middle = (low + high) // 2
        if _possible(values, parameters, position, token, _LEVELS[middle] * scale):
            high = middle
        else:
            low = middle + 1
    return _LEVELS[low]


def _possible(values: Floats, parameters: Parameters, position: int, token: int, slack: float) -> bool:
    """Whether `token` may be what is drawn from logits that are each within `slack` of `values`."""
    below = values - values.max()
    if parameters.temperature == 0:
        return bool(below[token] >= -2 * slack)
    light = np.exp(below / parameters.temperature)
    # Two logits may move together, or apart, by twice the slack: a weight at its heaviest beside all others'.
    heavy = np.exp(np.minimum((below + 2 * slack) / parameters.temperature, _LARGEST))
    sure, maybe = _kept(values, light, heavy, parameters, slack)
    if not maybe[token] or not heavy[token]:
        return False
    light, heavy = np.where(sure, light, 0.0), np.where(maybe, heavy, 0.0)
    # It is drawn where the dice are at or above the share of those before it, and below that of those up to it.
    before = _share(light[:token].sum(), heavy[token:].sum())
    behind = _share(light[token + 1 :].sum(), heavy[: token + 1].sum())
    thrown = dice(parameters.seed, position)
    return bool(before <= thrown and behind <= 1 - thrown)


def _kept(values: Floats, light: Floats, heavy: Floats, parameters: Parameters, slack: float) -> tuple[_Mask, _Mask]:
    """Which tokens top-k and top-p keep however the logits move, and which they may keep."""
    sure, maybe = np.ones(len(values), bool), np.ones(len(values), bool)
    k = parameters.top_k
    if 0 < k < len(values):
        ranked = np.partition(values, (-k - 1, -k))
        sure, maybe = values > ranked[-k - 1] + 2 * slack, values >= ranked[-k] - 2 * slack
    if parameters.top_p == 1:
        return sure, maybe
    order = np.argsort(-values, kind="stable")
    light_upto = _sums(np.where(sure, light, 0.0)[order])
    heavy_upto = _sums(np.where(maybe, heavy, 0.0)[order])
    possibly = np.searchsorted(-values[order], 2 * slack - values, side="right")  # so many may rank before, or are it
    certainly = np.searchsorted(-values[order], -2 * slack - values, side="left")  # so many rank before
    own = np.where(maybe, heavy, 0.0)
    most = _share(heavy_upto[possibly] - own, light_upto[-1] - light_upto[possibly] + light)
    least = _share(light_upto[certainly], heavy_upto[-1] - heavy_upto[certainly])
    return sure & (most < parameters.top_p), maybe & (least < parameters.top_p)


def _sums(weights: Floats) -> Floats:
    """Of the first none, one, two … of them."""
    return np.concatenate([[0.0], np.cumsum(weights)])


def _share(part: Any, rest: Any) -> Any:
    """`part` of both together; 0 where there is none."""
    part, rest = np.maximum(part, 0.0), np.maximum(rest, 0.0)  # a difference of sums may be a bit below 0
    return np.divide(part, part + rest, out=np.zeros_like(part), where=part > 0)
