"""The next token: the same everywhere, as likely as it should be, and none at all from logits that say nothing."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ModelFailed
from engine.generation.parameters import Parameters
from engine.generation.sampler import dice, draw, exp

DICE = [0.044677981169000125, 0.19764450225639663, 0.9855416574132541]  # of (0, 0), (7, 3), (2**64 - 1, 1)
DRAWN = [467, 498, 263, 365, 361, 487, 486, 435]
LOGITS = st.lists(st.floats(-30, 30, width=32) | st.just(-math.inf), min_size=1, max_size=40).filter(
    lambda values: max(values) > -math.inf
)


def drawing(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int = 1) -> Parameters:
    return Parameters(max_tokens=1, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)


def by_hand(logits: list[float], p: Parameters, position: int) -> int:
    """The same draw in plain Python, from sorted lists; sums go from the lowest id to the highest."""
    ranked = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    if p.top_k:
        ranked = ranked[: p.top_k]
    weights = {i: float(exp(np.array([(logits[i] - max(logits)) / p.temperature]))[0]) for i in sorted(ranked)}
    total, upto, kept = [*accumulate(weights.values())][-1], 0.0, list[int]()
    for i in ranked:
        kept.append(i)
        upto += weights[i]
        if p.top_p < 1 and upto >= p.top_p * total:
            break
    kept.sort()
    point, upto = dice(p.seed, position) * [*accumulate(weights[i] for i in kept)][-1], 0.0
    for i in kept:
        upto += weights[i]
        if upto > point:
            return i
    raise AssertionError("the dice are below 1")


@given(
    LOGITS, st.floats(0.01, 50), st.integers(0, 41), st.floats(0.01, 1), st.integers(0, 2**64 - 1), st.integers(0, 9)
)
@settings(max_examples=200)
def test_a_draw_is_what_the_rules_say(
    logits: list[float], temperature: float, k: int, p: float, seed: int, at: int
) -> None:
    wanted = drawing(temperature, k, p, seed)
    assert draw(np.array(logits, np.float32), wanted, at) == by_hand(logits, wanted, at)


@given(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30))
def test_greedy_takes_the_lowest_id_of_the_highest_logits(logits: list[float]) -> None:
    best = logits.index(max(logits))
    for kind in (np.float16, np.float32, np.float64):
        array = np.array(logits, kind)
        assert draw(array, Parameters(max_tokens=1), 0) == best
        assert draw(array, drawing(top_k=1), 0) == best
        assert draw(array, drawing(top_p=1e-9), 0) == best
        assert draw(array, drawing(temperature=1e-6), 0) in [i for i, x in enumerate(logits) if x == max(logits)]


@pytest.mark.parametrize("parameters", [Parameters(max_tokens=1), drawing(), drawing(top_k=2), drawing(top_p=0.5)])
@pytest.mark.parametrize("logits", [[1, math.nan, 2], [1, math.inf, 2], [-math.inf] * 3, [math.nan] * 3])
def test_logits_that_hold_no_choice_fail(logits: list[float], parameters: Parameters) -> None:
    with pytest.raises(ModelFailed, match=r"highest logit is -?(nan|inf)"):
        draw(np.array(logits, np.float32), parameters, 0)


def test_a_token_that_the_model_rules_out_is_never_drawn() -> None:
    logits = np.array([-math.inf, 0, -math.inf, 0.1, -math.inf], np.float32)
    drawn = {draw(logits, drawing(temperature=100, seed=seed), 0) for seed in range(200)}
    assert drawn == {1, 3}


def test_ties_at_the_edge_of_top_k_and_top_p_go_to_the_lowest_ids() -> None:
    level = np.zeros(8, np.float32)
    assert {draw(level, drawing(top_k=3, seed=s), 0) for s in range(200)} == {0, 1, 2}
    assert {draw(level, drawing(top_p=0.5, seed=s), 0) for s in range(200)} == {0, 1, 2, 3}
    level[6] = 1
    assert {draw(level, drawing(top_k=3, seed=s), 0) for s in range(200)} == {0, 1, 6}
    assert {draw(level, drawing(top_k=99, seed=s), 0) for s in range(400)} == set(range(8))


def test_draws_are_spread_as_the_probabilities_say() -> None:
    """Chi-square with 7 degrees of freedom: below 24.3 in 999 of 1,000 fair dice; the seed is fixed."""
    logits = np.array([2.0, 1.0, 0.0, 0.5, -1.0, 1.5, -2.0, 0.7], np.float32)
    for temperature in (0.7, 1.0, 2.5):
        weights = np.exp(logits.astype(float) / temperature)
        expected = 6_000 * weights / weights.sum()
        drawn = [draw(logits, drawing(temperature, seed=42), position) for position in range(6_000)]
        found = np.bincount(drawn, minlength=8)
        assert ((found - expected) ** 2 / expected).sum() < 24.3


def test_the_dice_are_fixed_forever_and_each_seed_and_position_has_its_own() -> None:
    assert [dice(0, 0), dice(7, 3), dice(2**64 - 1, 1)] == DICE
    thrown = {dice(seed, position) for seed in range(40) for position in range(40)}
    assert len(thrown) == 1600
    assert all(0 <= number < 1 for number in thrown)
    logits = np.linspace(-3, 3, 500, dtype=np.float32)
    assert [draw(logits, drawing(seed=7), position) for position in range(8)] == DRAWN


@given(st.lists(st.floats(-720, 0), min_size=1, max_size=50))
def test_exp_is_exact_to_the_last_bit_or_two(values: list[float]) -> None:
    for value, found in zip(values, exp(np.array(values)).tolist(), strict=True):
        wanted = math.exp(value) if value > -700 else 0.0
        assert abs(found - wanted) <= 2 * math.ulp(wanted)
    assert exp(np.array([0.0, -math.inf])).tolist() == [1, 0]
