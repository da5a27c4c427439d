"""The last minute's figures, against a list of everything that ever ran."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.meter import SPAN, Meter

RUNS = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 64), st.floats(0, 0.5)), max_size=30)


@given(RUNS, st.floats(0, 100))
def test_it_counts_the_last_minute_to_the_second(runs: list[tuple[float, int, float]], later: float) -> None:
    meter, now, noted = Meter(0.0), 0.0, []
    for pause, requests, busy in runs:
        now += pause
        meter.note(requests, busy, now)
        noted.append((now, requests, busy))
    now += later
    rates = meter.rates(now)
    recent = [(r, b) for at, r, b in noted if int(at) > now - SPAN]
    span = min(max(now, 1.0), SPAN)
    assert rates.requests == pytest.approx(sum(r for r, _ in recent) / span)
    assert rates.company == pytest.approx(sum(r for r, _ in recent) / len(recent) if recent else 0.0)
    assert rates.busy == pytest.approx(min(sum(b for _, b in recent) / span, 1.0))
    total = sum(r for r, _ in recent)
    assert meter.pace(now) == (pytest.approx(sum(b for _, b in recent) / total) if total else None)


def test_a_meter_that_is_new_divides_by_its_own_life() -> None:
    meter = Meter(100.0)
    meter.note(30, 0.5, 102.0)
    assert meter.rates(110.0).requests == 3.0
