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
