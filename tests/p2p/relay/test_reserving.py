"""Which relays hold a private peer's reservations: enough, apart and near, for ever, and never in haste."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p import bounds
from p2p.relay.reserving import Ask, Origin, Reservations, Search

LIFE = bounds.RELAY_LIFE


def range_of(address: str) -> str:
    return address.split("/")[0]


def machine(*relays: str, private: bool = True, origin: Origin = Origin.NETWORK) -> Reservations:
    """Knows these relays; each name is `range/number`, which is its address too."""
    reservations = Reservations(range_of, Random(7))
    reservations.private(private)
    for relay in relays:
        reservations.known(relay, [relay], origin)
    return reservations


def asked(reservations: Reservations, now: float) -> list[str]:
    return [action.relay for action in reservations.tick(now) if isinstance(action, Ask)]


def give(reservations: Reservations, relay: str, now: float, rtt: float = 0.05, life: float = LIFE) -> None:
    reservations.reserved(relay, [f"circuit over {relay}"], life, rtt, False, now)


def test_three_are_held_in_three_ranges() -> None:
    reservations = machine("a/1", "a/2", "a/3", "b/1", "c/1")
    relays = asked(reservations, 0.0)
    assert {range_of(relay) for relay in relays} == {"a", "b", "c"}
    assert asked(reservations, 0.1) == []  # they are being asked
    for relay in relays:
        give(reservations, relay, 0.2)
    assert len(reservations.circuits()) == bounds.RELAYS_WANTED
    assert asked(reservations, 0.3) == []


def test_a_public_peer_asks_nobody_and_gives_up_what_it_held() -> None:
    reservations = machine("a/1", private=False)
    assert reservations.tick(0.0) == []
    reservations.private(True)
    (relay,) = asked(reservations, 0.0)
    give(reservations, relay, 0.0)
    reservations.private(False)
    assert reservations.circuits() == ()
    assert reservations.due() == float("inf")


def test_each_is_renewed_at_about_half_its_life() -> None:
    reservations = machine("a/1")
    asked(reservations, 0.0)
    give(reservations, "a/1", 0.0)
    assert asked(reservations, 0.39 * LIFE) == []
    assert asked(reservations, 0.6 * LIFE) == ["a/1"]
    assert reservations.holds("a/1")
    reservations.refused("a/1", 0.6 * LIFE)
    assert reservations.holds("a/1")  # it still has the other half
    assert asked(reservations, 0.6 * LIFE + bounds.RELAY_RETRY_MAX) == ["a/1"]
    reservations.tick(LIFE)
    assert not reservations.holds("a/1")


def test_one_that_is_lost_is_replaced_at_once() -> None:
    reservations = machine("a/1", "b/1", "c/1", "d/1")
    held = asked(reservations, 0.0)
    for relay in held:
        give(reservations, relay, 0.0)
    reservations.lost(held[0], 100.0)
    (other,) = asked(reservations, 100.0)
    assert other not in held


def test_one_that_may_be_lost_is_confirmed_at_once_or_given_up() -> None:
    reservations = machine("a/1")
    asked(reservations, 0.0)
    give(reservations, "a/1", 0.0)
    reservations.doubtful("a/1", 5.0)
    assert asked(reservations, 5.0) == ["a/1"]
    give(reservations, "a/1", 5.1)
    reservations.tick(5.1 + bounds.RELAY_DOUBT)
    assert reservations.holds("a/1")
    reservations.doubtful("a/1", 50.0)
    asked(reservations, 50.0)
    reservations.refused("a/1", 50.0)
    reservations.tick(50.0 + bounds.RELAY_DOUBT)
    assert not reservations.holds("a/1")


def test_relays_that_come_back_after_minutes_are_asked_within_a_minute() -> None:
    reservations = machine("a/1", "b/1")
    now = 0.0
    for _ in range(100):  # all of them down
        for relay in asked(reservations, now):
            reservations.refused(relay, now + 15.0)  # nobody answers a dial
        now = max(now + 0.2, reservations.due())
    assert now > 600.0
    # They come back right after one was dialled: that dial has to fail, and the next one's turn to come.
    assert 15.0 + bounds.RELAY_RETRY_MAX < 60.0
    assert reservations.due() - now <= bounds.RELAY_RETRY_MAX
    for relay in asked(reservations, now + bounds.RELAY_RETRY_MAX):
        give(reservations, relay, now + bounds.RELAY_RETRY_MAX)
    assert len(reservations.held()) == 2


def test_many_peers_do_not_come_back_at_the_same_moment() -> None:
    moments = set()
    for seed in range(20):
        reservations = Reservations(range_of, Random(seed))
        reservations.private(True)
        reservations.known("a/1", ["a/1"], Origin.NETWORK)
        asked(reservations, 0.0)
        give(reservations, "a/1", 0.0)
        reservations.lost("a/1", 10.0)
        moments.add(round(reservations.due(), 3))
        assert asked(reservations, 10.0 + bounds.RELAY_RETRY) == ["a/1"]
    assert len(moments) > 15


def test_more_are_looked_for_when_too_few_are_left_and_not_in_a_hurry() -> None:
    reservations = machine()
    assert reservations.tick(0.0) == [Search()]
    assert reservations.tick(1.0) == []
    reservations.known("a/1", ["a/1"], Origin.FOUND)
    assert asked(reservations, 2.0) == ["a/1"]
    reservations.refused("a/1", 2.0)
    assert Search() in reservations.tick(bounds.RELAY_SEARCH)


def test_a_much_nearer_relay_takes_the_place_of_the_farthest() -> None:
    reservations = machine("a/1", "b/1", "c/1")
    for relay in asked(reservations, 0.0):
        give(reservations, relay, 0.0, rtt=0.2)
    reservations.known("d/1", ["d/1"], Origin.MET)
    reservations.measured("d/1", 0.02)
    assert asked(reservations, bounds.RELAY_REVIEW) == ["d/1"]
    give(reservations, "d/1", bounds.RELAY_REVIEW, rtt=0.02)
    assert len(reservations.held()) == bounds.RELAYS_WANTED
    assert reservations.held()[0] == "d/1"


def test_a_little_nearer_is_not_worth_a_move() -> None:
    reservations = machine("a/1", "b/1", "c/1")
    for relay in asked(reservations, 0.0):
        give(reservations, relay, 0.0, rtt=0.05)
    reservations.known("d/1", ["d/1"], Origin.MET)
    reservations.measured("d/1", 0.04)
    assert asked(reservations, bounds.RELAY_REVIEW) == []


def test_strangers_relays_do_not_push_out_those_of_the_network() -> None:
    reservations = machine("a/1")
    for number in range(3 * bounds.RELAYS_KNOWN):
        reservations.known(f"s/{number}", [f"s/{number}"], Origin.FOUND)
    assert len(reservations._relays) == bounds.RELAYS_KNOWN
    assert "a/1" in asked(reservations, 0.0)


@pytest.mark.parametrize("failing", [1, 3])
def test_a_relay_that_only_fails_costs_little(failing: int) -> None:
    reservations = machine(*(f"{n}/1" for n in range(failing)))
    now, tries = 0.0, 0
    while now < 600.0:
        relays = asked(reservations, now)
        tries += len(relays)
        for relay in relays:
            reservations.refused(relay, now)
        now = max(now + 0.2, reservations.due())
    assert tries <= failing * (10 + 600 / (0.75 * bounds.RELAY_RETRY_MAX))


STEPS = st.lists(st.tuples(st.sampled_from(["tick", "give", "refuse", "lose", "wait", "flip"]), st.integers(0, 5)))


@given(STEPS, st.integers(0, 1000))
def test_whatever_happens_the_machine_moves_on(steps: list[tuple[str, int]], seed: int) -> None:
    names = [f"{number % 3}/{number}" for number in range(6)]
    reservations = Reservations(range_of, Random(seed))
    private = True
    reservations.private(True)
    for name in names:
        reservations.known(name, [name], Origin.NETWORK)
    now, asking = 0.0, set[str]()
    for step, which in steps:
        name = names[which]
        if step == "tick":
            relays = asked(reservations, now)
            assert not asking & set(relays)  # nobody is asked twice at a time
            assert private or not relays
            asking |= set(relays)
        elif step == "wait":
            now += 20.0 * which
        elif step == "flip":
            private = not private
            reservations.private(private)
        elif step == "lose":
            reservations.lost(name, now)
        elif name in asking:
            asking.discard(name)
            if step == "give":
                give(reservations, name, now, rtt=0.01 * which)
            else:
                reservations.refused(name, now)
        assert len(reservations.held()) <= bounds.RELAYS_WANTED
        assert private or not reservations.held()
    # Whatever was, once the relays answer again, enough are held soon.
    reservations.private(True)
    for _ in range(12):
        now += bounds.RELAY_RETRY_MAX
        for name in asking | set(asked(reservations, now)):
            give(reservations, name, now)
        asking = set()
    assert len(reservations.held()) == bounds.RELAYS_WANTED
    assert reservations.due() > now
