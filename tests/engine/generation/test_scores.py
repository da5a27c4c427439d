"""A token's score: the logarithm of its probability, whatever the way of drawing, and no number where there is none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.generation.scores import scales, scores

LOGITS = st.lists(st.floats(-60, 60, width=32) | st.just(-math.inf), min_size=1, max_size=30).filter(
    lambda values: max(values) > -math.inf
)


@given(LOGITS, st.data())
def test_it_is_the_logarithm_of_the_softmax(logits: list[float], data: Any) -> None:
    token = data.draw(st.integers(0, len(logits) - 1))
    total = math.fsum(math.exp(value) for value in logits)
    (found,) = scores(np.array([logits], np.float32), np.array([token])).tolist()
    if logits[token] == -math.inf:
        assert found == -math.inf
    else:
        assert found == pytest.approx(logits[token] - math.log(total), abs=2e-5)


def test_each_row_has_its_own_and_the_type_does_not_matter() -> None:
    rows = np.array([[0, 0, 0, 0], [0, 0, 0, 60]])
    for kind in (np.float16, np.float32, np.float64):
        found = scores(rows.astype(kind), np.array([2, 3]))
        assert found.dtype == np.float32
        assert found.tolist() == [np.float32(-math.log(4)), 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_without_a_choice_has_no_score(bad: float) -> None:
    found = scores(np.array([[0, bad, 0], [0, 0, 0]], np.float32), np.array([0, 0]))
    assert math.isnan(found[0])
    assert math.isfinite(found[1])


def test_a_scale_is_the_size_of_what_weighs_anything() -> None:
    rows = np.array([[5, -20, 3], [5, -1e9, 3], [-50, -math.inf, -40], [0.1, 0, -0.2]], np.float32)
    assert scales(rows).tolist() == [20, 5, 50, 1]
