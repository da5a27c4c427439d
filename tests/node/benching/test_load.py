"""The closed loop, by each rule, then with clients that are answered, refused and kept waiting in any order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.benching import bounds
from node.benching.load import OVERLOADED, Load, Pause, Send

DURATION = 8.0


def warm(clients: int = 1) -> Load:
    """A load whose time counts from 1.0 on."""
    load = Load(clients, DURATION, 0.0)
    for client in range(clients):
        assert isinstance(load.next(client, 0.0), Send)
        assert not load.answered(client, 1.0)
    assert load.counts_from == 1.0
    return load


def test_the_time_counts_once_every_client_was_answered() -> None:
    load = Load(2, DURATION, 0.0)
    assert not load.answered(0, 1.5)
    assert not load.answered(0, 3.0)
    assert load.counts_from is None
    assert not load.failed(1, 4.0, OVERLOADED)  # a refusal is an answer of a kind
    assert load.counts_from == 4.0
    assert load.answered(0, 4.1)


def test_a_warm_up_lasts_its_least_even_when_answers_come_at_once() -> None:
    load = Load(1, DURATION, 10.0)
    assert not load.answered(0, 10.0 + bounds.WARM_SECONDS - 0.01)
    assert load.counts_from is None
    assert not load.answered(0, 10.0 + bounds.WARM_SECONDS)
    assert load.counts_from == 10.0 + bounds.WARM_SECONDS
    short = Load(1, 0.4, 0.0)
    short.answered(0, 0.1)
    assert short.counts_from == 0.1


def test_one_client_that_is_never_answered_does_not_hold_up_the_others() -> None:
    load = Load(2, DURATION, 0.0)
    assert not load.answered(0, bounds.WARM_MOST - 1)
    assert not load.answered(0, bounds.WARM_MOST)
    assert load.counts_from == bounds.WARM_MOST


def test_a_peer_that_answers_nobody_is_left_when_its_time_is_over() -> None:
    load = Load(3, DURATION, 0.0)
    assert isinstance(load.next(0, bounds.WARM_MOST - 0.1), Send)
    assert load.next(0, bounds.WARM_MOST) is None


def test_after_the_end_nobody_asks_and_nothing_counts() -> None:
    load = warm()
    assert load.ends_at == 1.0 + DURATION
    assert isinstance(load.next(0, load.ends_at - 0.01), Send)
    assert not load.answered(0, load.ends_at)
    assert load.next(0, load.ends_at) is None


def test_inputs_take_turns_over_all_clients() -> None:
    load = Load(3, DURATION, 0.0)
    moves = [load.next(client, 0.0) for client in (0, 2, 1, 2)]
    assert moves == [Send(0), Send(1), Send(2), Send(3)]


def test_a_refused_client_stays_away_as_long_as_it_was_told() -> None:
    load = warm(2)
    load.failed(0, 2.0, OVERLOADED, hint=1.5)
    assert load.next(0, 2.0) == Pause(3.5)
    assert isinstance(load.next(1, 2.0), Send)
    assert isinstance(load.next(0, 3.5), Send)
    load.failed(0, 4.0, OVERLOADED, hint=1e9)
    assert load.next(0, 4.0) == Pause(load.ends_at)
    load.failed(0, 4.0, OVERLOADED, hint=-1.0)
    assert isinstance(load.next(0, 4.0), Send)


def test_without_a_hint_its_rest_doubles_up_to_a_bound_and_an_answer_ends_that() -> None:
    load, rests = warm(2), []
    for _ in range(12):
        load.failed(1, 2.0, OVERLOADED)
        rests.append(load._rests[1] - 2.0)
    assert rests[1] == pytest.approx(2 * rests[0])
    assert max(rests) == rests[-1] == rests[-2] <= bounds.PAUSE_MOST
    load.answered(1, 2.0)
    load.failed(1, 2.0, OVERLOADED)
    assert load._rests[1] - 2.0 == rests[0]


def test_clients_that_were_refused_together_do_not_come_back_together() -> None:
    load = warm(8)
    for client in range(8):
        load.failed(client, 2.0, OVERLOADED)
    assert len(set(load._rests)) == 8


def test_overload_is_borne_and_failures_in_a_row_are_not() -> None:
    load = warm(2)
    for _ in range(1000):
        load.failed(0, 2.0, OVERLOADED)
    assert not load.given_up
    for _ in range(bounds.VAIN_LEAST - 1):
        load.failed(0, 2.0, "unreachable")
    load.answered(1, 2.0)
    assert not load.given_up
    for _ in range(bounds.VAIN_LEAST):
        load.failed(0, 2.0, "unreachable")
    assert load.given_up
    assert load.next(0, 2.0) is load.next(1, 2.0) is None


class Clients(RuleBasedStateMachine):
    """Whatever a peer does: one request a client, nothing outside the time that counts, an end in time."""

    @initialize(clients=st.integers(1, 6), duration=st.floats(0.1, 60))
    def begin(self, clients: int, duration: float) -> None:
        self.now = 0.0
        self.load = Load(clients, duration, self.now)
        self.asking: set[int] = set()
        self.heard: set[int] = set()
        self.answered = False
        self.sent = 0
        self.was_over = False

    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        idle = sorted(set(range(self.load.clients)) - self.asking)
        if not idle:
            return
        client = data.draw(st.sampled_from(idle))
        move = self.load.next(client, self.now)
        if self.was_over:
            assert move is None
        if move is None:
            self.was_over = True
        elif isinstance(move, Pause):
            assert self.now < move.until <= max(self.now + bounds.HINT_MOST, self.load.ends_at)
            self.now = move.until
        else:
            assert move.index == self.sent
            self.sent += 1
            self.asking.add(client)

    @rule(data=st.data(), kind=st.sampled_from(["", OVERLOADED, "link_lost"]), hint=st.none() | st.floats(-1, 1e6))
    def hear(self, data: st.DataObject, kind: str, hint: float | None) -> None:
        if not self.asking:
            return
        client = data.draw(st.sampled_from(sorted(self.asking)))
        self.asking.discard(client)
        before = self.load.counts_from
        counts = self.load.failed(client, self.now, kind, hint) if kind else self.load.answered(client, self.now)
        self.heard.add(client)
        self.answered = self.answered or not kind
        assert counts == (before is not None and before <= self.now < before + self.load.duration)
        if before is None and self.load.counts_from is not None:
            everybody = len(self.heard) == self.load.clients
            assert everybody or (self.answered and self.now >= bounds.WARM_MOST)

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def it_ends(self) -> None:
        assert self.load.ends_at <= self.now + bounds.WARM_MOST + self.load.duration
        if self.load.counts_from is not None and self.now >= self.load.counts_from + self.load.duration:
            assert all(self.load.next(client, self.now) is None for client in range(self.load.clients))


Clients.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestClients = Clients.TestCase


@given(st.lists(st.floats(0.001, 3), min_size=1, max_size=80), st.integers(1, 4), st.floats(0.2, 10))
def test_a_loop_of_clients_counts_each_answer_within_its_time_once(
    latencies: list[float], clients: int, duration: float
) -> None:
    """Driven as the tasks would, by a queue of events."""
    load, counted = Load(clients, duration, 0.0), []
    waits = iter(latencies * 20)
    due = [(0.0, client) for client in range(clients)]
    while due:
        due.sort()
        now, client = due.pop(0)
        if now and load.answered(client, now):
            counted.append(now)
        if load.next(client, now) is not None and (wait := next(waits, None)) is not None:
            due.append((now + wait, client))
    assert all(load.counts_from is not None and load.counts_from <= at < load.ends_at for at in counted)
