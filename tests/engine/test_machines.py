"""The engine's decisions, without a process or a clock."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.admission import Admission
from engine.bounds import DEATH_WINDOW, RESTART_DELAYS
from engine.errors import EngineBusy, ModelRefused
from engine.residency import Budget, Residency
from engine.strikes import Strikes
from engine.trial import trial_inputs
from wire.tensors import DataType, TensorSpec, split_bytes


@dataclass(eq=False)
class Ticket:
    deadline: float
    alike: str | None = None
    rows: int = 1
    size: int = 1


class AdmissionMachine(RuleBasedStateMachine):
    """Against a plain list: nobody is lost, doubled, served late, or overtaken but by those who ask alike."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Admission[Ticket] = Admission(5, most_rows=4, most_bytes=6)
        self.model: list[Ticket] = []
        self.taken: list[Ticket] = []
        self.now = 0.0

    @rule(
        wait=st.integers(0, 5), alike=st.sampled_from([None, "a", "b"]), rows=st.integers(1, 5), size=st.integers(0, 7)
    )
    def add(self, wait: int, alike: str | None, rows: int, size: int) -> None:
        ticket = Ticket(self.now + wait, alike, rows, size)
        if len(self.model) >= 5:
            with pytest.raises(EngineBusy):
                self.queue.add(ticket)
        else:
            self.queue.add(ticket)
            self.model.append(ticket)

    @rule(at=st.integers(0, 3))
    def drop(self, at: int) -> None:
        ticket = self.model.pop(at) if at < len(self.model) else Ticket(0)
        self.queue.drop(ticket)

    @rule()
    def take(self) -> None:
        self.model = [t for t in self.model if t.deadline > self.now]
        taken = self.queue.take(self.now)
        assert taken[:1] == self.model[:1]
        assert [t for t in self.model if t in taken] == taken
        if len(taken) > 1:
            assert {t.alike for t in taken} in ({"a"}, {"b"})
            assert sum(t.rows for t in taken) <= 4
            assert sum(t.size for t in taken) <= 6
        for t in self.model:  # nobody was left behind who would have fitted at the end
            if t not in taken and taken[0].alike is not None and t.alike == taken[0].alike:
                before = [other for other in taken if self.model.index(other) < self.model.index(t)]
                assert sum(o.rows for o in before) + t.rows > 4 or sum(o.size for o in before) + t.size > 6
        self.model = [t for t in self.model if t not in taken]
        self.taken = taken

    @rule()
    def put_back(self) -> None:
        self.queue.put_back(self.taken)
        self.model = [*self.taken, *self.model]
        self.taken = []

    @rule(step=st.integers(1, 3))
    def pass_time(self, step: int) -> None:
        self.now += step

    @rule()
    def clear(self) -> None:
        assert self.queue.clear() == self.model
        self.model = []

    @invariant()
    def same_length(self) -> None:
        assert len(self.queue) == len(self.model)


class ResidencyMachine(RuleBasedStateMachine):
    """Against a list in the order of use: only those go that may and that help, those unused for longest, and no more
    than needed."""

    SIZES: ClassVar = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 9}
    ON_CARD: ClassVar = {"a": 0, "b": 2, "c": 2, "d": 0, "e": 3}

    def __init__(self) -> None:
        super().__init__()
        self.busy: set[str] = set()
        self.card: int | None = None
        budgets = [
            Budget[str](lambda: 6, self.SIZES.__getitem__),
            Budget[str](lambda: self.card, self.ON_CARD.__getitem__),
        ]
        self.residency: Residency[str] = Residency(3, budgets, lambda r: r not in self.busy)
        self.model: list[str] = []

    def beyond(self, models: list[str]) -> list[dict[str, int]]:
        """The memories that are too small for these, one alone excepted."""
        return [
            sizes
            for sizes, most in ((self.SIZES, 6), (self.ON_CARD, self.card))
            if most is not None
            and sum(sizes[m] for m in models) > most
            and sum(sizes[m] > 0 for m in models) > 1
            and sizes[models[-1]]
        ]

    def fits(self, models: list[str]) -> bool:
        return len(models) <= 3 and not self.beyond(models)

    @rule(most=st.sampled_from([None, 3, 4]))
    def learn(self, most: int | None) -> None:
        self.card = most

    @rule(name=st.sampled_from("abcde"))
    def load(self, name: str) -> None:
        if name in self.model:
            assert self.residency.get(name.encode()) == name
            self.model.remove(name)
            self.model.append(name)
            return
        assert self.residency.get(name.encode()) is None
        leaving: list[str] = []
        for other in self.model:
            now = [*(m for m in self.model if m not in leaving), name]
            helps = len(now) > 3 or any(sizes[other] for sizes in self.beyond(now))
            if other not in self.busy and helps:
                leaving.append(other)
        after = [*(m for m in self.model if m not in leaving), name]
        if not self.fits(after):
            with pytest.raises(EngineBusy):
                self.residency.admit(name.encode(), name)
            return
        assert self.residency.admit(name.encode(), name) == leaving
        self.model = after

    @rule(name=st.sampled_from("abcde"))
    def toggle(self, name: str) -> None:
        self.busy ^= {name}

    @rule(name=st.sampled_from("abc"), same=st.booleans())
    def remove(self, name: str, same: bool) -> None:
        self.residency.remove(name.encode(), name if same else "another that came since")
        if same and name in self.model:
            self.model.remove(name)

    @invariant()
    def same_order(self) -> None:
        assert [m for m, _ in self.residency.items()] == [name.encode() for name in self.model]
        assert len(self.model) <= 3
        assert len(self.model) <= 1 or sum(map(self.SIZES.__getitem__, self.model)) <= 6


for machine in (AdmissionMachine, ResidencyMachine):
    machine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAdmission = AdmissionMachine.TestCase
TestResidency = ResidencyMachine.TestCase


def test_the_third_death_within_the_window_withdraws_the_model() -> None:
    strikes = Strikes()
    strikes.died(100.0, "first")
    assert (strikes.restart_at, strikes.withdrawn) == (100.0, None)
    strikes.died(101.0, "second")
    assert (strikes.restart_at, strikes.withdrawn) == (103.0, None)
    strikes.died(104.0, "the last")
    assert strikes.withdrawn is not None
    assert "3 times" in strikes.withdrawn
    assert "the last" in strikes.withdrawn


@given(st.lists(st.floats(0, 2000), max_size=12))
def test_a_model_is_withdrawn_only_for_deaths_close_together(gaps: list[float]) -> None:
    strikes, times, now = Strikes(), [], 0.0
    for gap in gaps:
        now += gap
        times.append(now)
        strikes.died(now, "")
        close = len([t for t in times if t > now - DEATH_WINDOW])
        if close > len(RESTART_DELAYS):
            assert strikes.withdrawn
            return
        assert strikes.withdrawn is None
        assert strikes.restart_at >= now


def test_trial_inputs_fit_every_datatype() -> None:
    specs = [TensorSpec(name=t, datatype=t, shape=("n", 2, "m")) for t in (*get_args(DataType),)]
    for ones in (False, True):
        tensors = trial_inputs(specs, ones=ones)
        assert [t.header.shape for t in tensors] == [(1, 2, 1)] * len(specs)
        for spec, tensor in zip(specs, tensors, strict=True):
            assert spec.accepts(tensor.header) is None
            tensor.check()
            assert any(tensor.data) == ones
    texts = {t.name: bytes(t.data) for t in tensors}
    assert texts["FP32"] == struct.pack("<2f", 1, 1)
    assert split_bytes(texts["BYTES"]) == [b"1", b"1"]


def test_a_model_whose_smallest_request_is_over_the_bound_is_refused() -> None:
    huge = TensorSpec(name="x", datatype="FP64", shape=(2**40,))
    with pytest.raises(ModelRefused, match="bound"):
        trial_inputs([huge], ones=False)
