"""Who may connect and who leaves for it, against rules that hold after any history."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from p2p import bounds
from p2p.standing.doorkeeper import Doorkeeper, Verdict
from p2p.standing.guests import Guests
from p2p.standing.ranges import Ranges
from p2p.standing.score import Standing

FRIEND = "198.51.100.1"


class Door(Doorkeeper):
    """With a name for each connection."""

    def __init__(self) -> None:
        guests = Guests(Ranges())
        super().__init__(Standing(guests.where), guests)
        self.names = 0

    def come(self, peer: str, address: str = "", now: float = 0.0, outbound: bool = False) -> Verdict:
        """One that has said who it is."""
        self.names += 1
        return self.enter(self.names, peer, address, outbound, now)

    def fill(self, now: float = 0.0) -> None:
        """Every inbound slot, each by another peer of another wide range."""
        while self.guests.inbound < bounds.CONNECTIONS_IN:
            number = self.guests.inbound
            assert self.come(f"guest {number}", f"{20 + number % 100}.{number // 100}.0.1", now).rule is None


def test_a_range_has_its_share_and_others_come_in() -> None:
    door = Door()
    for n in range(bounds.CONNECTIONS_PER_RANGE):
        assert door.come(f"sybil {n}", f"203.0.113.{n}").rule is None
    assert door.come("sybil", "203.0.113.99").rule == "no room"
    assert door.knock("203.0.113.99", 0.0).rule == "range full"  # and costs no handshake any more
    assert door.come("honest", FRIEND).rule is None
    assert all(door.come(f"local {n}", "10.0.0.1").rule is None for n in range(2 * bounds.CONNECTIONS_PER_RANGE))
    assert door.refused == {"no room": 1, "range full": 1}


def test_a_newcomer_takes_the_place_of_one_whose_neighbours_are_many() -> None:
    door = Door()
    for n in range(bounds.CONNECTIONS_IN):  # sixteen addresses in each of the ranges
        assert door.come(f"sybil {n}", f"203.{n // 48}.{n // 16}.{n}", float(n)).rule is None
    verdict = door.come("honest", FRIEND, 500.0)
    assert verdict.rule is None
    assert verdict.leave[0].peer == f"sybil {bounds.CONNECTIONS_IN - 1}"  # the youngest of them
    assert door.guests.inbound == bounds.CONNECTIONS_IN


def test_in_a_full_house_of_equals_the_newcomer_waits_outside() -> None:
    door = Door()
    door.fill()
    assert door.come("stranger", FRIEND, bounds.USELESS - 0.1).rule == "no room"


@pytest.mark.parametrize("past", ["misbehaved", "useless"])
def test_who_misbehaved_or_is_of_no_use_leaves_first(past: str) -> None:
    door = Door()
    door.fill()
    now = bounds.USELESS - 0.1
    if past == "misbehaved":
        door.standing.offend("guest 7", now)
    else:
        now = bounds.USELESS
        for n in range(bounds.CONNECTIONS_IN):
            if n != 7:
                with door.guests.using(f"guest {n}", lambda: now - 1):
                    pass
    assert [one.peer for one in door.come("stranger", FRIEND, now).leave] == ["guest 7"]


def test_who_brought_something_good_is_not_sent_away_for_a_stranger_from_a_rarer_range() -> None:
    door = Door()
    for n in range(bounds.CONNECTIONS_IN):
        door.standing.credit(f"good {n}", 0.0)
        assert door.come(f"good {n}", f"203.{n // bounds.CROWD_MOST}.{n}.1").rule is None
    assert door.come("stranger", FRIEND, 1.0).rule == "no room"
    assert door.knock(FRIEND, 1.0).caller is not None  # it may be one that brought more, so it is heard
    door.standing.credit("friend", 0.0, 5.0)
    assert door.come("friend", FRIEND, 1.0).leave[0].peer.startswith("good")


def test_merits_are_cheap_and_do_not_fill_the_house_from_one_wide_range() -> None:
    door = Door()
    for n in range(bounds.CONNECTIONS_IN):
        door.standing.credit(f"sybil {n}", 0.0)
        assert door.come(f"sybil {n}", f"203.0.{n}.1").rule is None
    for n in range(bounds.CONNECTIONS_IN - bounds.CROWD_MOST):
        (gone,) = door.come(f"honest {n}", f"{20 + n}.0.0.1", 1.0).leave
        assert gone.peer.startswith("sybil")
    assert door.come("one more", FRIEND, 1.0).rule == "no room"


def test_strangers_never_take_the_slots_that_are_dialled_with() -> None:
    door = Door()
    door.fill()
    free = bounds.CONNECTIONS - bounds.CONNECTIONS_IN
    assert all(not door.come(f"dialled {n}", outbound=True).leave for n in range(free))
    assert len(door.guests) == bounds.CONNECTIONS
    (gone,) = door.come("one more", outbound=True, now=1.0).leave
    assert not gone.outbound


def test_who_is_kept_stays_unless_it_misbehaves_and_so_does_what_was_just_dialled() -> None:
    door, now = Door(), bounds.USELESS
    door.keep(lambda: [f"guest {n}" for n in range(bounds.CONNECTIONS_IN)])
    door.fill()
    assert door.come("stranger", FRIEND, now).rule == "no room"
    for n in range(bounds.CONNECTIONS - bounds.CONNECTIONS_IN):
        door.come(f"dialled {n}", outbound=True, now=now - 1)
    assert door.come("one more", outbound=True, now=now).rule == "no room"
    door.standing.offend("guest 3", now)
    assert [one.peer for one in door.come("one more", outbound=True, now=now).leave] == ["guest 3"]


def test_a_peers_fifth_connection_ends_its_first() -> None:
    door = Door()
    for n in range(bounds.CONNECTIONS_PER_PEER):
        assert not door.come("peer", FRIEND, float(n)).leave
    (gone,) = door.come("peer", FRIEND, 9.0).leave
    assert gone.since == 0.0
    assert len(door.guests.of("peer")) == bounds.CONNECTIONS_PER_PEER


def test_a_banned_peer_is_refused_and_a_banned_range_is_before_its_handshake() -> None:
    door = Door()
    for n in range(bounds.RANGE_BANNED):
        door.come(f"sybil {n}", "203.0.113.5")
        door.standing.refuse(f"sybil {n}", 0.0)
    assert door.come("sybil 0", FRIEND, 1.0).rule == "peer banned"
    assert door.knock("203.0.113.200", 1.0).rule == "range banned"
    assert door.knock("203.0.114.200", 1.0).rule is None
    assert door.come("honest neighbour", "203.0.113.9", 1.0, outbound=True).rule is None  # we may still dial there


def test_half_open_ones_are_bounded_by_range_and_in_all_and_the_oldest_gives_way() -> None:
    door = Door()
    first = door.knock("203.0.113.1", 0.0).caller
    for _ in range(bounds.HALF_OPEN_PER_RANGE - 1):
        assert not door.knock("203.0.113.2", 0.0).cut
    assert door.knock("203.0.113.3", 0.0).cut == (first,)
    for n in range(bounds.HALF_OPEN - bounds.HALF_OPEN_PER_RANGE):
        assert not door.knock(f"198.51.{n}.1", 0.0).cut
    (gone,) = door.knock(FRIEND, 0.0).cut
    assert gone.range == "203.0.113.0/24"  # of the range that holds most, and not the honest one's
    assert len(door._callers) == bounds.HALF_OPEN


def test_arrivals_are_bounded_by_range_and_in_all() -> None:
    door, taken = Door(), 0
    for n in range(1000):
        verdict = door.knock(f"203.0.113.{n % 256}", n / 100)
        if verdict.caller is not None:
            taken += 1
            door.settled(verdict.caller)
    assert taken <= bounds.ARRIVAL_BURST + 10 * bounds.ARRIVAL_RATE + 1
    assert door.knock(FRIEND, 10.0).rule is None
    taken = 0
    for n in range(5000):
        verdict = door.knock(f"{20 + n % 100}.{n // 100}.0.1", 10.0)
        if verdict.caller is not None:
            taken += 1
            door.settled(verdict.caller)
    assert taken <= bounds.ARRIVALS_BURST


def test_who_has_very_many_ranges_of_one_wide_one_leaves_room_to_arrive() -> None:
    """An IPv6 /32 is 65,536 ranges, which would use up what all of them may begin together, for ever."""
    door, honest = Door(), 0
    for n in range(30_000):  # a thousand a second
        if (verdict := door.knock(f"2001:db8:{n:x}::1", n / 1000)).caller is not None:
            door.settled(verdict.caller)
        if n % 1000 == 0:
            honest += door.knock(f"{20 + n // 1000}.1.0.1", n / 1000).rule is None
    assert honest == 30


class DoorLife(RuleBasedStateMachine):
    """Any history of connections: the bounds hold, and counts are what stands."""

    def __init__(self) -> None:
        super().__init__()
        self.door, self.now, self.calling = Door(), 0.0, []  # type: ignore[var-annotated]

    @rule(
        peer=st.integers(0, 400),
        a=st.integers(0, 5),
        b=st.integers(0, 3),
        outbound=st.booleans(),
        count=st.integers(1, 60),
    )
    def come(self, peer: int, a: int, b: int, outbound: bool, count: int) -> None:
        for n in range(count):
            before = {guest.key for guest in self.door.guests}
            address = "" if a == 5 else f"203.{a}.{b}.{n}"
            verdict = self.door.come(f"peer {peer + n}", address, self.now, outbound)
            after = {guest.key for guest in self.door.guests}
            leave = {guest.key for guest in verdict.leave}
            assert leave <= before
            assert after == (before - leave | ({self.door.names} if verdict.rule is None else set()))

    @rule(a=st.integers(0, 5), count=st.integers(1, 30))
    def knock(self, a: int, count: int) -> None:
        for n in range(count):
            verdict = self.door.knock("127.0.0.1" if a == 5 else f"203.{a}.0.{n}", self.now)
            assert (verdict.rule is None) == (verdict.caller is not None)
            for each in verdict.cut:
                self.calling.remove(each)
            if verdict.caller is not None:
                self.calling.append(verdict.caller)

    @precondition(lambda self: self.calling)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        caller = data.draw(st.sampled_from(self.calling))
        self.calling.remove(caller)
        self.door.settled(caller)

    @rule(peer=st.integers(0, 400), good=st.booleans())
    def behave(self, peer: int, good: bool) -> None:
        if good:
            self.door.standing.credit(f"peer {peer}", self.now)
        else:
            self.door.standing.offend(f"peer {peer}", self.now, 20.0)

    @precondition(lambda self: len(self.door.guests) > 0)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.door.left(data.draw(st.sampled_from([guest.key for guest in self.door.guests])))

    @rule(passed=st.floats(0, 400))
    def wait(self, passed: float) -> None:
        self.now += passed

    @invariant()
    def bounds_hold(self) -> None:
        guests = list(self.door.guests)
        assert len(guests) <= bounds.CONNECTIONS
        inbound = [guest for guest in guests if not guest.outbound]
        assert len(inbound) == self.door.guests.inbound <= bounds.CONNECTIONS_IN + bounds.CONNECTIONS_PER_PEER
        for where in {guest.range for guest in inbound} - {None}:
            held = sum(guest.range == where for guest in inbound)
            assert held == self.door.guests.by_range[where] <= bounds.CONNECTIONS_PER_RANGE + 1  # type: ignore[index]
        for peer in {guest.peer for guest in guests}:
            assert len(self.door.guests.of(peer)) <= bounds.CONNECTIONS_PER_PEER
        assert len(self.door._callers) == len(self.calling) <= bounds.HALF_OPEN
        assert self.door._calling.total() == len(self.calling)


TestDoorLife = DoorLife.TestCase
TestDoorLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
