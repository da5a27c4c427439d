"""Tiers: rungs of the ladder, some of them joined, and the numbers that signatures know them by."""

from __future__ import annotations

import pytest

from wire.tier import RUNGS, TIER_CODE, TIERS, Tier, rungs_of

# What contracts and wallets will be told: a number that changed would turn every signature of its tier into another's.
CODES: dict[Tier, int] = {
    "signed": 1, "sampled": 2, "quorum": 4, "tee": 8, "zk": 16, "tee+sampled": 10, "tee+quorum": 12,
}  # fmt: skip


def test_the_numbers_are_these() -> None:
    assert TIER_CODE == CODES
    assert tuple(CODES) == TIERS
    assert len(set(CODES.values())) == len(CODES)


@pytest.mark.parametrize("rung", RUNGS)
def test_a_rung_is_one_bit(rung: Tier) -> None:
    assert TIER_CODE[rung].bit_count() == 1
    assert rungs_of(rung) == (rung,)


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_is_the_union_of_its_rungs(tier: Tier) -> None:
    rungs = rungs_of(tier)
    assert "+".join(rungs) == tier
    assert set(rungs) <= set(RUNGS)
    assert [rung for rung in RUNGS if TIER_CODE[tier] & TIER_CODE[rung]] == sorted(rungs, key=RUNGS.index)
