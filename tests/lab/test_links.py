"""One direction of a link: what Hypothesis may throw at it comes out late, in order or not at all."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from .links import Direction, Faults

_LENGTHS = st.lists(st.tuples(st.floats(0, 0.2), st.integers(1, 1500)), min_size=1, max_size=60)


@given(_LENGTHS, st.floats(0, 0.5), st.floats(0, 0.1), st.integers(0, 2**32))
def test_delay_and_jitter_keep_the_order(
    packets: list[tuple[float, int]], delay: float, jitter: float, seed: int
) -> None:
    link, now, last = Direction(Faults(delay=delay, jitter=jitter), Random(seed)), 0.0, 0.0
    for pause, length in packets:
        now += pause
        out = link.passes(now, length)
        assert out is not None
        assert max(now, now + delay - jitter, last) - 1e-9 <= out
        assert out <= max(last, now + delay + jitter) + 1e-9
        last = out


@given(_LENGTHS, st.floats(1e3, 1e6), st.floats(0.01, 1))
def test_a_rate_is_never_exceeded_and_the_queue_is_bounded(
    packets: list[tuple[float, int]], rate: float, queue: float
) -> None:
    link, now, passed = Direction(Faults(rate=rate, queue=queue), Random(0)), 0.0, 0
    for pause, length in packets:
        now += pause
        out = link.passes(now, length)
        if out is None:
            continue
        passed += length
        assert out - now <= queue + 1e-9
        assert passed <= rate * out * (1 + 1e-9)
    assert link.lost == 0 or queue < sum(length for _, length in packets) / rate


def test_loss_is_what_was_told_and_a_link_that_is_down_lets_nothing_through() -> None:
    faults = Faults(loss=0.2)
    link = Direction(faults, Random(3))
    lost = sum(link.passes(float(i), 100) is None for i in range(2000))
    assert 350 < lost < 450
    faults.down = True
    assert all(link.passes(3000.0 + i, 100) is None for i in range(10))
    assert link.lost == lost + 10
    faults.down, faults.loss = False, 0.0
    assert link.passes(4000.0, 100) == 4000.0


def test_what_is_reordered_overtakes_what_waits() -> None:
    faults = Faults(delay=1.0)
    link = Direction(faults, Random(0))
    assert link.passes(0.0, 100) == 1.0
    faults.reorder = 1.0
    assert link.passes(0.1, 100) == 0.1
    faults.reorder = 0.0
    assert link.passes(0.2, 100) == 1.2
