"""Near ties: whatever rounding can bring about is possible, and nothing else is called near."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from engine.generation.nearness import MOST, gap
from engine.generation.parameters import Parameters
from engine.generation.sampler import draw

STEP = 10 ** (1 / 8)  # between two levels
PARAMETERS = st.builds(
    Parameters,
    max_tokens=st.just(99),
    temperature=st.just(0.0) | st.floats(1e-4, 50),
    top_k=st.integers(0, 12),
    top_p=st.just(1.0) | st.floats(0.01, 1),
    seed=st.integers(0, 2**64 - 1),
)
# Few values close together: ties, and near ones, at every edge.
LOGITS = st.lists(
    st.integers(-4, 4).map(float) | st.floats(-0.01, 0.01) | st.floats(-8, 8) | st.just(-math.inf),
    min_size=1,
    max_size=12,
).filter(lambda values: max(values) > -math.inf)


@given(LOGITS, PARAMETERS, st.floats(1e-9, MOST), st.data())
@settings(max_examples=400)
def test_what_is_drawn_from_logits_that_near_is_possible(
    logits: list[float], parameters: Parameters, slack: float, data: Any
) -> None:
    moves = data.draw(st.lists(st.floats(-1, 1), min_size=len(logits), max_size=len(logits)))
    honest = np.array(logits)
    other = honest + slack * np.array(moves)
    assert gap(honest, parameters, 3, draw(other, parameters, 3), 1.0) <= slack * STEP * (1 + 1e-6) + 1e-10


@given(st.floats(0, 3 * MOST), st.floats(1, 100))
@example(2 * MOST, 10.0)
def test_the_gap_of_a_greedy_draw_is_half_the_difference(difference: float, scale: float) -> None:
    wanted = difference / 2
    assume(not math.isclose(wanted, MOST, rel_tol=1e-9))
    found = gap(np.array([0.0, -difference * scale]), Parameters(1), 0, 1, scale)
    if wanted > MOST:
        assert found == math.inf
    else:
        assert wanted * (1 - 1e-9) <= found <= max(1e-10, wanted * STEP * (1 + 1e-9))


def test_a_token_beside_the_dice_is_near_and_the_next_but_one_is_not() -> None:
    """Ten equal tokens, so each has a tenth: moving one logit by d moves an edge by d × share × (1 - share) or so."""
    level, parameters = np.zeros(10), Parameters(1, 1.0, seed=5)
    own = draw(level, parameters, 0)
    gaps = {token: gap(level, parameters, 0, token, 1.0) for token in range(10)}
    assert gaps[own] == 1e-10
    assert min(gaps[t] for t in gaps if abs(t - own) > 1) == math.inf


@pytest.mark.parametrize("more", [{"top_k": 3}, {"top_p": 0.75}])
def test_a_token_that_is_cut_off_is_near_only_at_the_edge(more: dict[str, Any]) -> None:
    """The fourth is kept where the third is no larger; the dice of this seed fall on the last that is kept."""
    for below, near in ((1e-5, True), (1.0, False)):
        values = np.array([1.0, 1.0, 1.0, 1.0 - below])
        seed = next(s for s in range(99) if draw(values, Parameters(1, 1.0, seed=s, **more), 0) == 2)
        assert (gap(values, Parameters(1, 1.0, seed=seed, **more), 0, 3, 1.0) < 1e-4) is near


def test_a_token_that_the_model_rules_out_is_never_near() -> None:
    values = np.array([0.0, -math.inf, -1e4])
    for temperature in (0.0, 1.0, 100.0):
        parameters = Parameters(1, temperature)
        assert gap(values, parameters, 0, 1, 1.0) == math.inf
        assert gap(values, parameters, 0, 2, 1.0) == math.inf
