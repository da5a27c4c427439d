"""A provider's memory of its answers, against a list that forgets nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.benching import bounds
from node.benching.witness import Witness
from tests.verify import benchmarks as made
from tests.verify.scenes import NOW, bent
from wire.inference import Receipt

SLOT = bounds.WITNESS_SLOT_MS
START = NOW // SLOT * SLOT


def receipt(at: int = 0, payer: bytes | None = None, units: int = 1, **changes: Any) -> Receipt:
    answered = made.SCENE.receipt.receipt
    usage = bent(answered.usage, units=units)
    return bent(answered, finished_ms=START + at, payer=payer or answered.payer, usage=usage, **changes)


def answered(witness: Witness, begun: int, ended: int, **changes: Any) -> tuple[int, int]:
    return witness.answered(made.benchmark(begun_ms=START + begun, ended_ms=START + ended, **changes))


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 9)), max_size=50),
    st.integers(0, 40_000),
    st.integers(0, 40_000),
)
def test_it_remembers_every_answer_to_a_quarter_of_a_second(
    times: list[tuple[int, int]], begun: int, length: int
) -> None:
    witness, ended = Witness(), begun + length
    for at, units in sorted(times):
        witness.note(receipt(at, units=units))
    counted, items = answered(witness, begun, ended)
    inside = [(at, units) for at, units in times if begun <= at <= ended]
    around = [(at, units) for at, units in times if begun - SLOT < at < ended + SLOT]
    assert len(inside) <= counted <= len(around)
    assert sum(u for _, u in inside) <= items <= sum(u for _, u in around)


@pytest.mark.parametrize(
    "changes",
    [
        {"measurer": b"\1" * 20},
        {"model": bytes(32)},
        {"tier": "quorum"},
        {"profile": "fp16"},
        {"backend": bent(made.benchmark().backend, device="NVIDIA H200")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_it_tells_apart_what_a_benchmark_is_about(changes: dict[str, Any]) -> None:
    witness = Witness()
    witness.note(bent(receipt(), tier="signed"))
    assert answered(witness, 0, 0) == (1, 1)
    assert answered(witness, 0, 0, **changes) == (0, 0)


def test_it_forgets_in_time_and_in_payers() -> None:
    witness = Witness()
    witness.note(receipt(0))
    witness.note(receipt(SLOT * (bounds.WITNESS_SLOTS - 1)))
    assert answered(witness, 0, 0) == (1, 1)
    witness.note(receipt(SLOT * bounds.WITNESS_SLOTS))
    assert answered(witness, 0, 0) == (0, 0)
    assert answered(witness, 0, SLOT * bounds.WITNESS_SLOTS) == (2, 2)
    witness.note(receipt(SLOT * bounds.WITNESS_SLOTS * 9))
    assert answered(witness, 0, SLOT * bounds.WITNESS_SLOTS * 9) == (1, 1)
    for number in range(bounds.WITNESSED):
        witness.note(receipt(0, payer=number.to_bytes(20, "big")))
    assert answered(witness, 0, SLOT * bounds.WITNESS_SLOTS * 9) == (0, 0)
    assert len(witness._counts) == bounds.WITNESSED


def test_a_clock_that_was_set_back_or_far_ahead_costs_memory_nothing() -> None:
    witness = Witness()
    for at in (10**9, 0, 10**12, 5, 10**12 + SLOT):
        witness.note(receipt(at))
    (counts,) = witness._counts.values()
    assert len(counts._slots) <= bounds.WITNESS_SLOTS
    assert answered(witness, 10**12, 10**12 + SLOT) == (2, 2)
