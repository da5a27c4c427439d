from __future__ import annotations

from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.benching import bounds
from node.benching.samples import Sample, Samples, Thinned, percentile, rate

SHARES = st.sampled_from([0.01, 0.25, 0.5, 0.9, 0.99, 1.0])


@given(st.lists(st.integers(0, 1000), min_size=1), SHARES)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[int], share: float) -> None:
    found = percentile(sorted(values), share)
    enough = [v for v in values if sum(other <= v for other in values) >= share * len(values) - 1e-9]
    assert found == min(enough)


@pytest.mark.parametrize(("count", "share", "rank"), [(1, 0.99, 1), (100, 0.99, 99), (101, 0.99, 100), (4, 0.5, 2)])
def test_its_rank_by_hand(count: int, share: float, rank: int) -> None:
    assert percentile(range(1, count + 1), share) == rank


def test_a_rate_is_the_median_of_slices_so_a_pause_does_not_colour_it() -> None:
    steady = [0.005 + i / 100 for i in range(1000)]
    assert rate(steady, [1] * 1000, 10.0) == 100.0
    paused = [at for at in steady if not 4.0 < at < 6.0]
    assert rate(paused, [1] * len(paused), 10.0) == 100.0
    assert rate(steady, [3] * 1000, 10.0) == 300.0


def test_few_answers_have_no_slices() -> None:
    assert rate([], [], 2.0) == 0
    assert rate([0.1, 0.2, 1.9], [1, 1, 1], 2.0) == 1.5


@given(
    st.floats(0.1, 100).flatmap(
        lambda duration: st.tuples(st.just(duration), st.lists(st.floats(0, duration), max_size=300))
    )
)
def test_a_rate_lies_between_the_worst_and_the_best_slice(given_: tuple[float, list[float]]) -> None:
    duration, offsets = given_
    found = rate(offsets, [1] * len(offsets), duration)
    assert 0 <= found <= len(offsets) * bounds.SLICES / duration
    if len(offsets) < 2 * bounds.SLICE_ITEMS:
        assert isclose(found, len(offsets) / duration)


@given(st.integers(0, 2000), st.integers(2, 64))
def test_a_thinned_list_is_short_even_and_begins_with_the_first(count: int, most: int) -> None:
    thinned = Thinned[int](most)
    for number in range(count):
        thinned.add(number)
    assert len(thinned.kept) <= most
    assert thinned.kept[:1] == list(range(count))[:1]
    steps = {b - a for a, b in zip(thinned.kept, thinned.kept[1:], strict=False)}
    assert len(steps) <= 1
    if count >= most:
        assert len(thinned.kept) >= most // 2


def a_sample(at: float, latency_us: int, backend: str = "cpu", together: int = 1) -> Sample:
    return Sample(
        at,
        latency_us,
        items=2,
        tokens=3,
        sent=5,
        received=7,
        compute_us=40,
        price=11,
        together=together,
        backend=backend,
    )


def test_the_figures_of_a_step() -> None:
    samples = Samples()
    for i in range(10):
        samples.add(a_sample(i / 10, 100 * (i + 1), together=8 - i % 8))
    samples.add_wrong("y differs")
    samples.add_wrong("later")
    samples.add_failure("overloaded", "busy")
    samples.add_failure("timeout", "slow")
    found = samples.figures(1.0)
    assert (found["requests"], found["items"], found["items_per_s"], found["tokens_per_s"]) == (10, 20, 20.0, 30.0)
    assert (found["p50_us"], found["p99_us"], found["max_us"]) == (500, 1000, 1000)
    assert found["compute_share"] == round(400 / 5500, 4)
    assert (found["failed"], found["failures"]) == (2, {"overloaded": 1, "timeout": 1})
    assert (found["wrong"], found["why_wrong"], found["why_failed"]) == (2, "y differs", "slow")
    assert (found["sent_bytes"], found["received_bytes"], found["price_per_1000"]) == (50, 70, 5500)
    assert (found["backend"], found["mixed"]) == ("cpu", False)
    assert (found["batch_p50"], found["batch_max"]) == (5, 8)  # of 1, 2, 3, 4, 5, 6, 7, 7, 8, 8


def test_a_step_of_two_backends_is_called_mixed() -> None:
    samples = Samples()
    samples.add(a_sample(0.1, 5, "tensorrt on a card"))
    samples.add(a_sample(0.2, 5, "onnxruntime on cpu"))
    found = samples.figures(1.0)
    assert found["mixed"]
    assert found["backend"] == "onnxruntime on cpu + tensorrt on a card"


def test_a_step_that_brought_nothing_has_no_latency() -> None:
    found = Samples().figures(1.0)
    assert (found["requests"], found["items_per_s"]) == (0, 0)
    assert found["p50_us"] is found["p99_us"] is found["max_us"] is found["compute_share"] is found["backend"] is None
    assert found["batch_p50"] is found["batch_max"] is None
