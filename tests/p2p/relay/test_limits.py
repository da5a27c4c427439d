"""What a relay gives: bounded in all, per range and per peer, in bytes and in rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p import bounds
from p2p.relay.limits import OURS, STRANGERS, Circuit, Limits, Pace
from p2p.relay.messages import Status


def made(limits: Limits, source: str, target: str, *, range_: str | None = None, now: float = 0.0) -> Circuit:
    circuit = limits.connect(source, target, range_, True, now)
    assert isinstance(circuit, Circuit)
    return circuit


def test_a_circuit_needs_a_reservation_that_holds() -> None:
    limits = Limits()
    assert limits.connect("source", "target", None, True, 0.0) is Status.NO_RESERVATION
    assert limits.reserve("target", None, 0.0) is Status.OK
    made(limits, "source", "target", now=bounds.RELAY_LIFE - 1)
    assert limits.connect("source", "target", None, True, bounds.RELAY_LIFE) is Status.NO_RESERVATION


def test_a_reservation_ends_with_its_peers_connection() -> None:
    limits = Limits()
    limits.reserve("target", None, 0.0)
    limits.gone("target")
    assert not limits.holds("target", 0.0)


def test_reservations_are_bounded_in_all_and_renewed_when_full() -> None:
    limits = Limits()
    for number in range(bounds.RELAY_RESERVATIONS):
        assert limits.reserve(f"peer {number}", None, 0.0) is Status.OK
    assert limits.reserve("one more", None, 0.0) is Status.RESERVATION_REFUSED
    assert limits.reserve("peer 0", None, 1.0) is Status.OK
    assert limits.reserve("one more", None, bounds.RELAY_LIFE) is Status.OK  # all but the renewed one have lapsed


def test_one_range_leaves_room_for_others() -> None:
    limits = Limits()
    given_ = [limits.reserve(f"sybil {n}", "192.0.2.0/24", 0.0) for n in range(bounds.RELAY_RESERVATIONS)]
    assert given_.count(Status.OK) == bounds.RELAY_RESERVATIONS_PER_RANGE
    assert limits.reserve("honest", "198.51.100.0/24", 0.0) is Status.OK


def test_one_wide_range_leaves_room_for_others() -> None:
    limits, wide = Limits(), "192.0.0.0/16"
    given_ = [limits.reserve(f"sybil {n}", f"192.0.{n}.0/24", 0.0, wide=wide) for n in range(bounds.RELAY_RESERVATIONS)]
    assert given_.count(Status.OK) == bounds.RELAY_RESERVATIONS_PER_WIDE
    assert limits.reserve("honest", "198.51.100.0/24", 0.0, wide="198.51.0.0/16") is Status.OK


def test_who_holds_all_places_of_one_peer_makes_room_and_a_small_range_keeps_its_own() -> None:
    limits = Limits()
    for target in ("censored", "other"):
        limits.reserve(target, None, 0.0)
    kept = limits.connect("first", "censored", "198.51.100.0/24", True, 0.0, wide="198.51.0.0/16")
    assert isinstance(kept, Circuit)
    held: dict[Circuit, None] = {}
    for number in range(bounds.RELAY_CIRCUITS):  # of every /24 another, and it may as well be idle
        circuit = limits.connect(f"key {number}", "censored", f"192.0.{number}.0/24", True, 0.0, wide="192.0.0.0/16")
        if isinstance(circuit, Circuit):
            limits.carried(circuit, 0, 1000 - number, 0.0)
            held[circuit] = None
    assert len(held) == bounds.RELAY_CIRCUITS // 2 - 1
    late = limits.connect("late", "censored", "203.0.113.0/24", True, 0.0, wide="203.0.0.0/16")
    assert isinstance(late, Circuit)
    assert late.instead_of is list(held)[-1]  # it carried least
    assert limits.summary(0.0).circuits == bounds.RELAY_CIRCUITS // 2
    others = [limits.connect(f"{n}", "censored", None, True, 0.0, wide=f"10.{n}.0.0/16") for n in range(100)]
    gone = [each.instead_of for each in others if isinstance(each, Circuit)]
    assert len(gone) == bounds.RELAY_CIRCUITS // 2 - 3  # until the crowd has one left, like all others
    assert {kept, late}.isdisjoint(gone)


def test_circuits_are_bounded_per_source_per_target_per_range_and_in_all() -> None:
    limits = Limits()
    for target in ("one", "two", "three"):
        limits.reserve(target, None, 0.0)
    for _ in range(bounds.RELAY_CIRCUITS_PER_PEER):
        made(limits, "greedy", "one")
    assert limits.connect("greedy", "two", None, True, 0.0) is Status.RESOURCE_LIMIT_EXCEEDED
    while isinstance(circuit := limits.connect(f"a{limits.summary(0.0).circuits}", "one", None, True, 0.0), Circuit):
        pass
    assert circuit is Status.RESOURCE_LIMIT_EXCEEDED
    assert limits.summary(0.0).circuits == bounds.RELAY_CIRCUITS // 2
    while isinstance(limits.connect(f"b{limits.summary(0.0).circuits}", "two", None, True, 0.0), Circuit):
        pass
    assert limits.summary(0.0).circuits == bounds.RELAY_CIRCUITS
    assert limits.connect("late", "three", None, True, 0.0) is Status.RESOURCE_LIMIT_EXCEEDED


def test_a_circuit_carries_so_many_bytes_each_way_and_a_strangers_fewer() -> None:
    limits = Limits()
    limits.reserve("target", None, 0.0)
    for ours, limit in ((True, OURS), (False, STRANGERS)):
        circuit = limits.connect("source", "target", None, ours, 0.0)
        assert isinstance(circuit, Circuit)
        assert limits.carried(circuit, 0, limit.data, 0.0) is not None
        assert limits.carried(circuit, 1, limit.data, 0.0) is not None
        assert limits.carried(circuit, 0, 1, 0.0) is None
        assert circuit.ends == limit.seconds
    assert limits.metered("source") == 2 * (OURS.data + STRANGERS.data)


def test_who_asks_too_often_is_not_listened_to() -> None:
    limits = Limits()
    heard = [limits.hears("peer", 0.0) for _ in range(100)]
    assert heard.count(True) == bounds.RELAY_REQUESTS_BURST
    assert limits.hears("another", 0.0)


@given(st.lists(st.tuples(st.integers(1, 1 << 20), st.floats(0, 0.5)), min_size=1, max_size=60))
def test_no_pace_is_ever_outrun(pieces: list[tuple[int, float]]) -> None:
    rate = 1 << 18
    pace, now, passed = Pace(rate), 0.0, 0
    for size, idle in pieces:
        now += idle
        wait = pace.spend(size, now)
        passed += size
        now += wait
        assert passed <= rate * (now + bounds.RELAY_BURST) * (1 + 1e-9) + 1


PEERS = st.sampled_from([f"peer {number}" for number in range(40)])
RANGES = st.sampled_from([None, "192.0.2.0/24", "198.51.100.0/24"])
STEPS = st.one_of(
    st.tuples(st.just("reserve"), PEERS, RANGES),
    st.tuples(st.just("gone"), PEERS, st.none()),
    st.tuples(st.just("connect"), PEERS, PEERS),
    st.tuples(st.just("end"), st.integers(0, 9), st.none()),
)


@given(st.lists(STEPS, max_size=200), st.floats(0, 400))
def test_the_books_never_go_over_a_bound(steps: list[tuple[str, object, object]], pace: float) -> None:
    limits, open_, now = Limits(), list[Circuit](), 0.0
    for kind, first, second in steps:
        now += pace
        if kind == "reserve":
            limits.reserve(str(first), second, now)  # type: ignore[arg-type]  # a range, or None
        elif kind == "gone":
            limits.gone(str(first))
        elif kind == "connect":
            held = limits.holds(str(second), now)
            circuit = limits.connect(str(first), str(second), None, True, now)
            assert held or circuit is Status.NO_RESERVATION
            if isinstance(circuit, Circuit):
                open_.append(circuit)
        elif open_:
            limits.ended(open_.pop(int(str(first)) % len(open_)))
        summary = limits.summary(now)
        assert summary.circuits == len(open_) <= summary.circuits_most
        assert summary.reservations <= summary.reservations_most


def test_a_burst_passes_at_once_and_what_follows_waits() -> None:
    pace = Pace(1000.0)
    assert pace.spend(int(1000 * bounds.RELAY_BURST), 0.0) == 0.0
    assert pace.spend(1000, 0.0) == pytest.approx(1.0)
