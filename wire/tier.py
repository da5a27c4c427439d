"""The names of the trust levels, and the numbers that stand for them in signed structs.

A tier is one rung of the ladder or two of them joined by `+`: each of its rungs is proved by itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, cast, get_args

Rung = Literal["signed", "sampled", "quorum", "tee", "zk"]
Tier = Literal["signed", "sampled", "quorum", "tee", "zk", "tee+sampled", "tee+quorum"]

RUNGS: tuple[Rung, ...] = get_args(Rung)
TIERS: tuple[Tier, ...] = get_args(Tier)


@lru_cache
def rungs_of(tier: Tier) -> tuple[Rung, ...]:
    """The rungs of a tier, one or two."""
    return tuple(cast("list[Rung]", tier.split("+")))


# A bit a rung, so that a joined tier's number says what it is made of.
TIER_CODE: dict[Tier, int] = {tier: sum(1 << RUNGS.index(rung) for rung in rungs_of(tier)) for tier in TIERS}
