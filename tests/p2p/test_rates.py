"""Token buckets against a plain model."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from p2p import bounds
from p2p.rates import Rates

STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_no_window_holds_more_than_the_bucket_and_its_refill(steps: list[tuple[str, float]]) -> None:
    rates, now = Rates(2.0, 5.0), 100.0
    passed: dict[str, list[float]] = {"a": [], "b": []}
    for key, wait in steps:
        now += wait
        if rates.take(key, now):
            passed[key].append(now)
    for times in passed.values():
        for first in range(len(times)):
            for last in range(first, len(times)):
                assert last - first + 1 <= 5 + 2 * (times[last] - times[first]) + 1e-6


def test_one_key_does_not_use_up_anothers() -> None:
    rates = Rates(1.0, 2.0)
    assert [rates.take("a", 0) for _ in range(3)] == [True, True, False]
    assert rates.take("b", 0)
    assert rates.take("a", 1.0)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    rates = Rates(1.0, 1.0)
    assert rates.take("a", 10.0)
    assert not rates.take("a", 5.0)
    assert not rates.take("a", 10.5)


def test_memory_is_bounded() -> None:
    rates = Rates(1.0, 1.0)
    for number in range(bounds.BUCKETS + 10):
        rates.take(str(number), 0)
    assert len(rates) == bounds.BUCKETS
