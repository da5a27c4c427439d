"""What a payer may spend: for one answer, in a day, on one provider."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settle.channel.budget import DAY_MS, Budget, Limits
from settle.channel.faults import OverBudget

A, B = b"a" * 20, b"b" * 20
NOON = 20_000 * DAY_MS + DAY_MS // 2


def budget(
    request: int = 0, day: int = 0, provider: int = 0, spent: dict[tuple[int, bytes], int] | None = None
) -> Budget:
    return Budget(Limits(request, day, provider), spent or {})


def test_without_limits_anything_goes() -> None:
    free = budget()
    assert free.room(A, NOON) is None
    free.reserve(A, 2**128 - 1, NOON)


def test_one_answer() -> None:
    small = budget(request=10)
    with pytest.raises(OverBudget, match=r"may cost 0\.000000000000000011, your limits leave 0\.00000000000000001$"):
        small.reserve(A, 11, NOON)
    small.reserve(A, 10, NOON)


def test_a_day_is_over_all_providers_and_ends_at_midnight_utc() -> None:
    small = budget(day=10)
    small.end(small.reserve(A, 6, NOON), 6, NOON)
    with pytest.raises(OverBudget):
        small.reserve(B, 5, NOON)
    small.reserve(B, 4, NOON)
    assert small.room(A, NOON + DAY_MS) == 6  # what is under way still counts


def test_one_provider() -> None:
    small = budget(provider=10)
    small.end(small.reserve(A, 10, NOON), 10, NOON)
    assert small.room(A, NOON) == 0
    assert small.room(B, NOON) == 10


def test_what_is_under_way_counts_until_it_ends() -> None:
    small = budget(day=10)
    reserved = small.reserve(A, 10, NOON)
    with pytest.raises(OverBudget):
        small.reserve(A, 1, NOON)
    small.end(reserved, 0, NOON)
    small.reserve(A, 10, NOON)


def test_what_was_kept_counts_after_a_restart() -> None:
    first = budget(day=10)
    key, amount = first.end(first.reserve(A, 7, NOON), 7, NOON)
    assert budget(day=10, spent={key: amount}).room(A, NOON) == 3


def test_a_clock_that_is_minutes_off_moves_no_more_than_midnight() -> None:
    small = budget(day=10)
    late = NOON + 5 * 60 * 1000
    small.end(small.reserve(A, 7, late), 7, late)
    assert small.room(A, NOON) == 3  # the clock was set back


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 50), st.integers(0, 50)), max_size=30))
def test_no_limit_is_ever_passed(answers: list[tuple[bytes, int, int]]) -> None:
    limits = budget(request=30, day=100, provider=60)
    for provider, ceiling, price in answers:
        try:
            reserved = limits.reserve(provider, ceiling, NOON)
        except OverBudget:
            continue
        limits.end(reserved, min(price, ceiling), NOON)
        assert limits.spent(NOON) <= 100
        assert limits.spent(NOON, provider) <= 60
