"""Many draws at once: to the bit those that are drawn one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.generation import draws as module
from engine.generation.draws import draws
from engine.generation.parameters import Parameters
from engine.generation.sampler import draw

ROWS = st.integers(1, 30).flatmap(
    lambda width: st.lists(
        st.lists(
            st.floats(-30, 30, width=32) | st.integers(-2, 2).map(float) | st.just(-math.inf),
            min_size=width,
            max_size=width,
        ).filter(lambda row: max(row) > -math.inf),
        min_size=1,
        max_size=6,
    )
)
PARAMETERS = st.builds(
    Parameters,
    max_tokens=st.just(99),
    temperature=st.just(0.0) | st.floats(0.01, 50),
    top_k=st.integers(0, 31),
    top_p=st.just(1.0) | st.floats(1e-6, 1),
    seed=st.integers(0, 2**64 - 1),
)


def one_by_one(rows: Any, parameters: Parameters, first: int) -> list[int]:
    return [draw(row, parameters, position) for position, row in enumerate(rows, first)]


@given(ROWS, PARAMETERS, st.integers(0, 9), st.sampled_from([np.float16, np.float32, np.float64]))
@settings(max_examples=300)
def test_rows_are_drawn_from_as_each_alone(
    rows: list[list[float]], parameters: Parameters, first: int, kind: Any
) -> None:
    logits = np.array(rows, kind)
    assert draws(logits, parameters, first) == one_by_one(logits, parameters, first)


@pytest.mark.parametrize("vocabulary", [300, module._LARGE])
def test_pieces_and_large_vocabularies_change_nothing(vocabulary: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 4 * 300)
    logits = np.random.default_rng(1).standard_normal((10, vocabulary)).astype(np.float32) * 5
    for parameters in (Parameters(9), Parameters(9, 1.0), Parameters(9, 0.7, top_k=20, top_p=0.9, seed=4)):
        assert draws(logits, parameters, 3) == one_by_one(logits, parameters, 3)
