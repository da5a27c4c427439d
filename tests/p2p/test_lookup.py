"""A Kademlia lookup finds who is nearest, whatever part of the network lies, and asks no more than its bounds."""

from __future__ import annotations

import random
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from libp2p.peer.id import ID

from p2p import bounds
from p2p.lookup import Lookup

ME = ID(b"me")


def near(key: bytes, peers: list[ID]) -> list[ID]:
    target = int.from_bytes(sha256(key).digest(), "big")
    return sorted(peers, key=lambda peer: int.from_bytes(sha256(peer.to_bytes()).digest(), "big") ^ target)


def walk(lookup: Lookup, knows: dict[ID, list[ID]], chance: random.Random) -> list[ID]:
    """Ask as the lookup says, answers in any order; who is not in `knows` fails. Everyone that was asked."""
    asked: list[ID] = []
    under_way: list[ID] = []
    while not lookup.done:
        while (peer := lookup.next()) is not None:
            assert peer not in asked
            asked.append(peer)
            under_way.append(peer)
        assert 0 < len(under_way) <= bounds.LOOKUP_AT_ONCE
        peer = under_way.pop(chance.randrange(len(under_way)))
        if peer in knows:
            lookup.answered(peer, knows[peer])
        else:
            lookup.failed(peer)
    return asked


@given(st.integers(1, 60), st.binary(min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_nearest_are_found_from_one_acquaintance(size: int, key: bytes, chance: random.Random) -> None:
    peers = [ID(b"peer %d" % n) for n in range(size)]
    nearest = near(key, peers)[: bounds.CLOSEST]
    knows = {peer: [*nearest, ME] for peer in peers}
    lookup = Lookup(key, [chance.choice(peers)], ME)
    asked = walk(lookup, knows, chance)
    assert ME not in asked
    assert lookup.closest()[: len(nearest)] == nearest


@given(st.binary(min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_invented_peers_near_the_key_hide_nobody_we_know(key: bytes, chance: random.Random) -> None:
    honest = [ID(b"peer %d" % n) for n in range(bounds.CLOSEST)]
    invented = near(key, [ID(b"no such %d" % n) for n in range(1200)])
    knows: dict[ID, list[ID]] = {peer: [] for peer in honest[1:]}
    knows[honest[0]] = invented  # the liar
    lookup = Lookup(key, honest, ME)
    asked = walk(lookup, knows, chance)
    assert set(lookup.closest()) == set(honest)
    assert len(asked) <= bounds.LOOKUP_PEERS
    assert len(lookup._seen) <= bounds.LOOKUP_SEEN + 1


def test_nobody_to_ask_is_done_at_once() -> None:
    lookup = Lookup(b"key", [ME], ME)
    assert lookup.done
    assert lookup.closest() == []


def test_others_are_asked_beside_those_who_are_silent() -> None:
    """Half of those known are dead and say nothing: the rest are asked all the same, and waited for alone."""
    peers = [ID(b"peer %d" % n) for n in range(2 * bounds.LOOKUP_AT_ONCE)]
    lookup = Lookup(b"key", peers, ME)
    first = [lookup.next() for _ in range(bounds.LOOKUP_AT_ONCE)]
    assert lookup.next() is None
    for peer in first:
        assert peer is not None
        lookup.lags(peer)
    second = [lookup.next() for _ in range(bounds.LOOKUP_AT_ONCE)]
    assert {*first, *second} == set(peers)
    assert not lookup.lagging
    for peer in second:
        assert peer is not None
        lookup.answered(peer, [])
    assert lookup.lagging
    assert not lookup.done
    late = first[0]
    assert late is not None
    lookup.answered(late, [])  # one that was only slow counts
    assert late in lookup.closest()
    for peer in first[1:]:
        assert peer is not None
        lookup.failed(peer)
    assert lookup.done


def test_who_is_not_asked_does_not_lag() -> None:
    lookup = Lookup(b"key", [ID(b"peer")], ME)
    lookup.lags(ID(b"peer"))
    assert not lookup.lagging


class Strangers:
    """A walk among peers of whom four that lie are met first; each event at its time."""

    def __init__(self, key: bytes) -> None:
        self.honest = [ID(b"honest %d" % n) for n in range(100)]
        self.liars = [ID(b"liar %d" % n) for n in range(4)]
        self.nearest = near(key, self.honest)
        self.knows = {peer: self.nearest[: bounds.CLOSEST] for peer in self.honest}
        self.ranges: dict[ID, str] = {}
        self.key, self.clock = key, 0.0
        self.asked: list[ID] = []

    def walk(self, patience: float = 12.0) -> list[ID]:
        """The liars answer at once, the honest after a second, nobody else ever; the nearest after a minute."""
        lookup = Lookup(self.key, [*self.liars, self.honest[0]], ME, self.ranges.get)
        events: list[tuple[float, str, ID]] = []
        while not lookup.done and self.clock < bounds.RENDEZVOUS_WALK:
            while (peer := lookup.next()) is not None:
                self.asked.append(peer)
                delay = 0.01 if peer in self.liars else 1.0
                events.append((self.clock + (delay if peer in self.knows else patience), "end", peer))
                events.append((self.clock + bounds.RENDEZVOUS_SLOW, "lag", peer))
            event = min(events, key=lambda event: event[0])
            events.remove(event)
            self.clock, what, peer = event
            if what == "lag":
                lookup.lags(peer)
            elif peer in self.knows:
                lookup.answered(peer, self.knows[peer])
                events.remove(next(one for one in events if one[1:] == ("lag", peer)))
            else:
                lookup.failed(peer)
        return lookup.closest()


@given(st.binary(min_size=1, max_size=8))
def test_liars_who_answer_first_use_nothing_up(key: bytes) -> None:
    """Each names twenty that do not exist, nearer than anybody else, so that they would be asked first, and alone."""
    strangers = Strangers(key)
    invented = near(key, [ID(b"no such %d" % n) for n in range(4000)])[: 4 * bounds.CLOSEST]
    for number, liar in enumerate(strangers.liars):
        strangers.knows[liar] = invented[number :: len(strangers.liars)]
    found = strangers.walk()
    assert set(strangers.nearest[: bounds.CLOSEST - len(strangers.liars)]) <= set(found)
    assert len(strangers.asked) <= bounds.LOOKUP_PEERS


@given(st.binary(min_size=1, max_size=8))
def test_many_who_answer_in_one_range_are_a_few_of_the_nearest(key: bytes) -> None:
    """Sixty that do exist, nearer than anybody else, who name each other: all of them in one operator's range."""
    strangers = Strangers(key)
    sybils = near(key, [ID(b"sybil %d" % n) for n in range(3000)])[:60]
    for peer in [*strangers.liars, *sybils]:
        strangers.knows[peer], strangers.ranges[peer] = sybils[: bounds.CLOSEST], "192.0.0.0/16"
    found = strangers.walk()
    crowd = {*strangers.liars, *sybils}
    assert sum(peer in crowd for peer in found) <= bounds.LOOKUP_PER_WIDE
    assert set(strangers.nearest[: bounds.CLOSEST - bounds.LOOKUP_PER_WIDE]) <= set(found)


def test_who_answers_from_a_range_that_is_full_is_not_listened_to() -> None:
    """It was said to be elsewhere."""
    peers = [ID(b"peer %d" % n) for n in range(bounds.LOOKUP_PER_WIDE + 1)]
    ranges = {peer: str(peer) for peer in peers}
    lookup = Lookup(b"key", peers, ME, ranges.get)
    heard = []
    while (peer := lookup.next()) is not None:
        ranges[peer] = "192.0.0.0/16"
        heard.append(lookup.answered(peer, [ID(b"another")] if len(heard) == bounds.LOOKUP_PER_WIDE else []))
    assert heard == [True] * bounds.LOOKUP_PER_WIDE + [False]
    assert lookup.done
    assert len(lookup.closest()) == bounds.LOOKUP_PER_WIDE
