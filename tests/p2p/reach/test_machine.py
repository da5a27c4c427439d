"""The finding on reachability: what confirms an address, what takes that away, and that a minority decides nothing."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from p2p import bounds
from p2p.reach.machine import ReachMachine
from p2p.reach.places import IP, Places
from p2p.reach.poll import Ask
from p2p.reach.state import Mapped, Reach
from p2p.standing.ranges import wide_range_of

HOME, OUTSIDE, ELSEWHERE = "/ip4/192.168.1.7/tcp/4001", "/ip4/203.0.113.9/tcp/4001", "/ip4/198.51.100.9/tcp/4001"
PLACES = Places(wide_range_of)


def at(number: int) -> IP:
    """Where the peer of this number is: each in a /16 of its own."""
    return ip_address(f"{20 + number}.1.2.3")


def machine(*listening: str, maps: bool = False, announce: tuple[str, ...] = ()) -> ReachMachine:
    made = ReachMachine(Random(1), PLACES, 0.0, announce=announce, maps=maps)
    made.listens(listening, 0.0)
    return made


def meet(it: ReachMachine, peers: int, now: float = 0.0, seen: str = "203.0.113.9") -> None:
    it.meets({f"p{n}": at(n) for n in range(peers)}, now)
    for n in range(peers):
        it.observed(f"p{n}", ip_address(seen), now)


def poll(
    it: ReachMachine, now: float, *, reached: set[str] | None = None, liars: frozenset[str] = frozenset()
) -> set[str]:
    """Carry a poll to its end; who was asked. `reached`: what strangers reach; liars say the opposite."""
    asked = set()
    while asks := it.asks(now):
        for ask in asks:
            asked.add(ask.peer)
            truth = {a: a in (reached or set()) for a in ask.addresses}
            it.answered(ask, {a: (t != (ask.peer in liars), "") for a, t in truth.items()}, 0)
    return asked


def test_three_networks_confirm_an_address_and_fewer_say_what_is_missing() -> None:
    it = machine(OUTSIDE)
    meet(it, 2)
    assert poll(it, 10.0, reached={OUTSIDE}) == {"p0", "p1"}
    found = it.found(10.0)
    assert found.state is Reach.CHECKING
    assert not found.confirmed
    assert it.glimpsed == (OUTSIDE,)
    assert (len(found.checkers), found.wanted) == (2, 3)
    meet(it, 3, 11.0)  # the one that was missing: the poll need not wait for its time
    assert len(poll(it, 13.0, reached={OUTSIDE})) == 3
    assert it.found(13.0).state is Reach.PUBLIC
    assert it.found(13.0).confirmed == (OUTSIDE,)


def test_peers_of_one_network_have_one_voice() -> None:
    it = machine(OUTSIDE)
    it.meets({f"p{n}": ip_address(f"20.1.{n}.1") for n in range(30)}, 0.0)
    assert len(poll(it, 10.0, reached={OUTSIDE})) == 1
    assert it.found(10.0).state is Reach.CHECKING


def test_where_peers_see_us_is_asked_about_only_when_two_networks_agree_and_never_believed() -> None:
    it = machine(HOME)
    it.meets({"p0": at(0), "p1": ip_address("20.1.9.9"), "p2": at(2)}, 0.0)
    it.observed("p0", ip_address("203.0.113.9"), 0.0)
    it.observed("p1", ip_address("203.0.113.9"), 0.0)  # the same network again
    assert it.asks(10.0) == []
    it.observed("p2", ip_address("203.0.113.9"), 10.0)
    assert {a for ask in it.asks(20.0) for a in ask.addresses} == {OUTSIDE}
    assert it.confirmed == ()


def test_one_bad_poll_changes_nothing_and_two_do() -> None:
    it = machine(OUTSIDE)
    meet(it, 5)
    poll(it, 10.0, reached={OUTSIDE})
    it.check(20.0)
    poll(it, 20.0)
    assert it.confirmed == (OUTSIDE,)
    assert it.due(20.0) <= bounds.CHECK_RETRY  # it is looked at again soon
    poll(it, 60.0)
    assert it.confirmed == ()
    assert it.found(60.0).state is Reach.PRIVATE


def test_a_port_that_was_closed_is_noticed_within_six_minutes() -> None:
    it, now = machine(OUTSIDE), 10.0
    meet(it, 5)
    poll(it, now, reached={OUTSIDE})
    while it.found(now).state is Reach.PUBLIC:
        now += it.due(now)
        assert now <= 10.0 + bounds.CHECK_EVERY + bounds.CHECK_RETRY <= 10.0 + 360.0
        poll(it, now)
    assert it.found(now).state is Reach.PRIVATE


def test_it_is_asked_about_sooner_when_the_last_who_came_has_gone() -> None:
    it, others = machine(OUTSIDE), {f"p{n}": at(n) for n in range(5)}
    meet(it, 5)
    poll(it, 10.0, reached={OUTSIDE})
    assert it.due(60.0) > bounds.CHECK_SETTLE
    it.meets(others | {"checker": at(9)}, 60.0, {"checker"})
    it.meets(others, 62.0)  # who dials back goes at once
    it.meets(others | {"guest": at(9), "other": at(10)}, 62.0, {"guest", "other"})
    it.meets(others | {"other": at(10)}, 99.0, {"other"})  # one is still here
    assert it.due(99.0) > bounds.CHECK_SETTLE
    it.meets(others, 100.0)
    assert it.due(100.0) == bounds.CHECK_SETTLE
    poll(it, 101.0, reached={OUTSIDE})
    it.meets(others | {"guest": at(9)}, 102.0, {"guest"})
    it.meets(others, 102.0 + bounds.CHECK_RETRY + 1)
    poll(it, 135.0, reached={OUTSIDE})
    it.meets(others | {"guest": at(9)}, 70.0, {"guest"})
    it.meets(others, 136.0)  # coming and going does not have others dial without end
    assert it.due(136.0) >= bounds.CHECK_RETRY - 1


def test_disagreement_has_more_asked_and_the_majority_decides() -> None:
    for honest, liars in ((4, 1), (5, 2)):
        it = machine(OUTSIDE)
        meet(it, honest + liars)
        bad = frozenset(f"p{n}" for n in range(liars))
        while not (asked := poll(it, 10.0, reached={OUTSIDE}, liars=bad)) & bad:
            it.check(10.0)
        assert len(asked) >= 5
        assert it.confirmed == (OUTSIDE,)


def test_a_new_address_outside_ends_what_held_for_the_old_one_and_is_asked_about() -> None:
    it = machine(HOME)
    meet(it, 4)
    poll(it, 10.0, reached={OUTSIDE})
    assert it.found(10.0).state is Reach.PUBLIC
    meet(it, 4, 20.0, seen="198.51.100.9")
    assert it.found(20.0).state is Reach.CHECKING
    assert poll(it, 30.0, reached={ELSEWHERE})
    assert it.confirmed == (ELSEWHERE,)


def test_a_mapping_is_public_only_once_it_was_dialled() -> None:
    it = machine(HOME, maps=True)
    meet(it, 4)
    assert not it.wants_mapping(5.0)  # the port may be forwarded by hand
    poll(it, 10.0)
    assert it.found(10.0).state is Reach.CHECKING  # the router has not been asked
    assert it.wants_mapping(10.0)
    it.maps(Mapped("/ip4/203.0.113.9/tcp/5555", "UPnP, router 192.168.1.1"), 11.0)
    assert it.found(11.0).state is Reach.CHECKING
    assert it.found(11.0).mapping == ""
    poll(it, 15.0, reached={"/ip4/203.0.113.9/tcp/5555"})
    assert it.found(15.0).state is Reach.MAPPED
    assert it.found(15.0).mapping == "UPnP, router 192.168.1.1"
    it.maps(Mapped(), 20.0)
    assert it.confirmed == ()


SIX = "/ip6/2001:4860::7/tcp/4001"


def meet_six(it: ReachMachine, peers: int) -> None:
    """Peers with IPv6 addresses, each in a /32 of its own."""
    it.meets({f"s{n}": ip_address(f"2a0{n}::1") for n in range(1, peers + 1)}, 0.0)


def test_a_firewall_is_asked_for_a_pinhole_when_others_came_up_against_it_and_believed_when_they_no_longer_do() -> None:
    it = machine(SIX, maps=True)
    meet_six(it, 4)
    assert not it.wants_pinhole()  # nobody has tried yet
    poll(it, 10.0)
    assert it.wants_pinhole()
    it.pierces(Mapped(SIX, "PCP, router fe80::1%eth0"), 11.0)
    assert it.confirmed == ()
    poll(it, 15.0, reached={SIX})
    found = it.found(15.0)
    assert (found.state, found.confirmed, found.mapping) == (Reach.MAPPED, (SIX,), "PCP, router fe80::1%eth0")
    assert it.needs_pinhole  # it is kept for as long as it is good for something


def test_no_router_is_asked_for_a_pinhole_that_nothing_needs() -> None:
    open_one = machine(SIX, maps=True)
    meet_six(open_one, 4)
    poll(open_one, 10.0, reached={SIX})
    assert not open_one.wants_pinhole()
    assert open_one.found(10.0).state is Reach.PUBLIC
    local = machine("/ip6/fd00::7/tcp/4001", maps=True)  # nothing that a stranger could dial
    off = machine(SIX)
    for it in (local, off):
        meet_six(it, 4)
        poll(it, 10.0)
        assert not it.wants_pinhole()


def test_a_firewall_that_opens_nothing_is_told_as_the_reason() -> None:
    it = machine(SIX, maps=True)
    meet_six(it, 4)
    poll(it, 10.0)
    it.pierces(Mapped(trouble="the router at fe80::1%eth0 does not answer PCP"), 11.0)
    assert it.found(11.0).state is Reach.PRIVATE
    assert "fe80::1%eth0 does not answer PCP" in it.found(11.0).reason


def test_a_router_that_forgot_what_it_mapped_is_asked_once_before_the_address_is_given_up() -> None:
    it, mapped = machine(HOME, maps=True), Mapped(OUTSIDE, "PCP, router 192.168.1.1")
    meet(it, 4)
    it.maps(mapped, 1.0)
    poll(it, 10.0, reached={OUTSIDE})
    assert not it.router_forgot
    it.check(100.0)
    poll(it, 100.0)
    assert it.router_forgot
    it.maps(mapped, 101.0)  # it is mapped again
    assert not it.router_forgot
    assert it.found(101.0).state is Reach.MAPPED
    poll(it, 101.0 + bounds.CHECK_SETTLE, reached={OUTSIDE})
    assert it.found(105.0).state is Reach.MAPPED
    it.check(200.0)
    poll(it, 200.0)
    assert it.router_forgot  # and a second time
    it.maps(mapped, 201.0)
    poll(it, 203.0)
    assert not it.router_forgot  # asking it did not help
    assert it.found(203.0).state is Reach.PRIVATE


def test_a_port_mapped_where_others_were_turned_away_is_asked_about_again() -> None:
    it = machine(HOME, maps=True)
    meet(it, 4)
    poll(it, 10.0)
    it.maps(Mapped(OUTSIDE, "PCP, router 192.168.1.1"), 11.0)
    assert it.found(11.0).state is Reach.CHECKING
    poll(it, 11.0 + bounds.CHECK_SETTLE, reached={OUTSIDE})
    assert it.found(13.0).state is Reach.MAPPED


def test_a_router_that_errs_on_its_own_address_is_dialled_where_others_see_it() -> None:
    it = machine(HOME, maps=True)
    meet(it, 4)
    it.maps(Mapped("/ip4/198.51.100.77/tcp/5555", "PCP, router 192.168.1.1"), 1.0)
    poll(it, 10.0, reached={"/ip4/203.0.113.9/tcp/5555"})
    assert it.found(10.0).state is Reach.MAPPED
    assert it.confirmed == ("/ip4/203.0.113.9/tcp/5555",)


def test_private_says_why() -> None:
    it = machine(HOME, maps=True)
    meet(it, 3)
    poll(it, 10.0)
    it.maps(Mapped("", "PCP", "the router has no public address itself"), 11.0)
    assert it.found(11.0).state is Reach.PRIVATE
    assert "no public address itself" in it.found(11.0).reason
    assert machine().found(0.0).reason == "it does not listen"
    here = machine("/ip4/127.0.0.1/tcp/1")
    assert here.found(0.0).state is Reach.LOCAL
    assert here.found(0.0).scope == "machine"
    meet(here, 1)
    assert here.found(0.0).state is Reach.PRIVATE
    assert here.found(0.0).reason == "it listens on this machine only"


def test_a_lan_alone_is_no_alarm() -> None:
    it = machine(HOME)
    assert it.found(1.0).state is Reach.CHECKING  # who starts may yet meet somebody
    assert it.found(bounds.CHECK_GRACE + 1).state is Reach.LOCAL
    it.meets({"p": ip_address("192.168.1.8")}, 20.0)
    assert (it.found(20.0).state, it.found(20.0).scope) == (Reach.LOCAL, "lan")


def test_who_sits_behind_our_router_is_not_asked() -> None:
    it = machine(HOME)
    meet(it, 3)
    it.meets({"p0": at(0), "p1": at(1), "p2": at(2), "neighbour": ip_address("203.0.113.9")}, 1.0)
    assert "neighbour" not in poll(it, 10.0)


def test_a_router_that_shows_everybody_another_address_leaves_us_private() -> None:
    it = machine(HOME)
    it.meets({f"p{n}": at(n) for n in range(3)}, 0.0)
    for n in range(3):
        it.observed(f"p{n}", ip_address(f"203.0.113.{n + 1}"), 0.0)
    assert it.found(20.0).state is Reach.PRIVATE


def test_an_answer_to_an_older_question_is_no_vote() -> None:
    it = machine(OUTSIDE)
    meet(it, 3)
    (first, *_) = it.asks(10.0)
    it.listens([ELSEWHERE], 11.0)
    it.answered(first, {OUTSIDE: (True, "")}, 0)
    assert it.confirmed == ()
    assert poll(it, 20.0, reached={ELSEWHERE}) == {"p0", "p1", "p2"}


def test_both_families_are_asked_about_each_by_its_own_peers() -> None:
    six = "/ip6/2001:db8::7/tcp/4001"
    it = machine(OUTSIDE, six)
    it.meets({f"p{n}": at(n) for n in range(3)} | {f"s{n}": ip_address(f"2001:{n}::1") for n in range(1, 4)}, 0.0)
    asks = it.asks(10.0)
    assert {ask.addresses for ask in asks if ask.peer.startswith("s")} == {(six,)}
    assert {ask.addresses for ask in asks if ask.peer.startswith("p")} == {(OUTSIDE,)}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(3, 12),
    st.data(),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_a_minority_of_those_asked_never_decides(peers: int, data: st.DataObject, truth: bool, seed: int) -> None:
    """With fewer than half of any three lying, that is one in all, the finding is the truth."""
    it = ReachMachine(Random(seed), PLACES, 0.0)
    it.listens([OUTSIDE], 0.0)
    meet(it, peers)
    liar = frozenset({f"p{data.draw(st.integers(0, peers - 1))}"})
    for turn in range(1, 4):
        it.check(1000.0 * turn)
        poll(it, 1000.0 * turn, reached={OUTSIDE} if truth else set(), liars=liar)
        assert it.confirmed == ((OUTSIDE,) if truth else ())


class Reaching(RuleBasedStateMachine):
    """Any order of events: nothing is confirmed without evidence, and a change of addresses has it asked anew."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.it = ReachMachine(Random(3), PLACES, 0.0, maps=True)
        self.open: list[Ask] = []
        self.shown: set[str] = set()  # what anybody ever reached
        self.peers: dict[str, IP] = {}

    @rule(seconds=st.floats(0.1, 2000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(listening=st.lists(st.sampled_from([HOME, OUTSIDE, ELSEWHERE, "/ip4/127.0.0.1/tcp/1"]), unique=True))
    def listen(self, listening: list[str]) -> None:
        before = set(self.it.found(self.now).listening)
        self.it.listens(listening, self.now)
        if OUTSIDE in listening and OUTSIDE not in before:
            assert self.it.due(self.now) <= bounds.CHECK_SETTLE

    @rule(numbers=st.sets(st.integers(0, 8)))
    def meet(self, numbers: set[int]) -> None:
        self.peers = {f"p{n}": at(n) for n in numbers}
        self.it.meets(self.peers, self.now)

    @rule(number=st.integers(0, 8), ip=st.sampled_from(["203.0.113.9", "198.51.100.9", "192.168.1.1", "::1"]))
    def observe(self, number: int, ip: str) -> None:
        self.it.observed(f"p{number}", ip_address(ip), self.now)

    @rule(mapped=st.sampled_from([Mapped(), Mapped(OUTSIDE, "UPnP"), Mapped("", "", "no router")]))
    def map(self, mapped: Mapped) -> None:
        self.it.maps(mapped, self.now)

    @rule()
    def ask(self) -> None:
        asks = self.it.asks(self.now)
        assert all(ask.peer in self.peers and 0 < len(ask.addresses) <= bounds.DIAL_BACK_ADDRESSES for ask in asks)
        self.open += asks

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        ask = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        tried = {a: (data.draw(st.booleans()), "why") for a in ask.addresses}
        self.shown |= {a for a, (reached, _) in tried.items() if reached}
        self.it.answered(ask, tried, 0)

    @precondition(lambda self: self.open)
    @rule()
    def fail(self) -> None:
        self.it.unanswered(self.open.pop(), bounds.CHECKER_REST, self.now)

    @invariant()
    def nothing_is_confirmed_without_evidence(self) -> None:
        found = self.it.found(self.now)
        assert set(found.confirmed) <= self.shown
        assert set(self.it.glimpsed) <= self.shown
        assert (found.state in (Reach.PUBLIC, Reach.MAPPED)) == bool(found.confirmed)
        assert bool(found.mapping) <= (found.state is not Reach.PRIVATE)
        assert len(found.checkers) <= bounds.CHECKERS_SHOWN
        assert self.it.due(self.now) >= 0


TestReaching = Reaching.TestCase
TestReaching.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
