"""Which token comes next: the same on every machine that has the same logits.

Greedy, or drawn: temperature, then top-k, then top-p, in float64. Only operations that IEEE 754 rounds in one way are
used, in an order that is written here: neither numpy's `exp` nor its `sum`, whose last bit depends on the processor.
Chance is BLAKE3 over seed and position: token 7 of a seed needs no other token's dice.
Source: Fan et al. 2018 (top-k), Holtzman et al. 2020 (top-p).
"""

from __future__ import annotations

from math import factorial

import numpy as np
import numpy.typing as npt

from wire.arrays import Array
from wire.cid import content_hash

from ..errors import ModelFailed
from .parameters import Parameters

Floats = npt.NDArray[np.float64]
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # fdlibm's split: k × high is exact
_LEAST = -700.0  # e to the power of less is nothing beside 1
_COEFFICIENTS = [1 / factorial(n) for n in range(13, -1, -1)]


def draw(logits: Array, parameters: Parameters, position: int) -> int:
    """The id of the token to follow, from the logits [vocabulary]; `position` counts the tokens drawn before.

    ModelFailed where the logits hold no choice (NaN, an infinity at the top).
    """
    if parameters.temperature == 0:
        best = int(np.argmax(logits))  # the lowest id of equals; a NaN where there is one
        _check_top(float(logits[best]))
        return best
    scores = logits.astype(np.float64)
    top = float(scores.max())
    _check_top(top)
    ids = _most_likely(scores, parameters.top_k)
    scores = scores[ids]
    weights = exp((scores - top) / parameters.temperature)
    if parameters.top_p < 1:
        kept = _nucleus(scores, weights, parameters.top_p)
        ids, weights = ids[kept], weights[kept]
    upto = np.cumsum(weights)
    return int(ids[np.searchsorted(upto, dice(parameters.seed, position) * upto[-1], side="right")])


def dice(seed: int, position: int) -> float:
    """A number from 0 (included) to 1 (not), evenly spread over the multiples of 2**-53."""
    digest = content_hash(seed.to_bytes(8, "little") + position.to_bytes(8, "little"))
    return (int.from_bytes(digest[:8], "little") >> 11) * 2.0**-53


def exp(x: Floats) -> Floats:
    """e to the power of `x`, for x of at most 0, within 1 ulp or so; 0 from -700 down."""
    inside = np.maximum(x, _LEAST)
    k = np.rint(inside * _LOG2_E)
    r = (inside - k * _LN2_HIGH) - k * _LN2_LOW
    power = np.zeros_like(r)
    for coefficient in _COEFFICIENTS:
        power *= r
        power += coefficient
    return np.where(x > _LEAST, np.ldexp(power, k.astype(np.int32)), 0.0)


def _most_likely(scores: Floats, k: int) -> npt.NDArray[np.int64]:
    """The ids of the k highest, ascending; of those that tie for the last places, the lowest ids."""
    if not 0 < k < len(scores):
        return np.arange(len(scores))
    least = np.partition(scores, -k)[-k]
    above = np.flatnonzero(scores > least)
    return np.sort(np.concatenate([above, np.flatnonzero(scores == least)[: k - len(above)]]))


def _nucleus(scores: Floats, weights: Floats, p: float) -> npt.NDArray[np.int64]:
    """Where the likeliest stand that make up the share `p` of all, ascending; at least one. The highest weight is 1."""
    total = np.cumsum(weights)[-1]
    # All below this together are less than what may be left out; sorting them too would take longer than the rest.
    possible = np.flatnonzero(weights >= min(1.0, (1 - p) * total / len(weights)))
    order = possible[np.argsort(-scores[possible], kind="stable")]
    enough = int(np.searchsorted(np.cumsum(weights[order]), p * total, side="left"))
    return np.sort(order[: enough + 1])


def _check_top(logit: float) -> None:
    if not np.isfinite(logit):
        raise ModelFailed(
            f"the model's highest logit is {logit}, so no next token can be chosen; its weights may be damaged"
        )
