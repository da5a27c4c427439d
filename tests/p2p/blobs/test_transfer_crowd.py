"""The transfer's scheduler among peers that fetch the same: who lacks a piece now may have it soon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p import bounds
from p2p.blobs.pieces import Pieces
from wire.bounds import CHUNK

from .test_transfer import ALL, World


@pytest.mark.parametrize("start", [None, 0, 20])
def test_a_peer_that_fetches_as_well_is_asked_again_for_what_it_lacked(start: int | None) -> None:
    made = World([CHUNK] * 40, list(range(40)))
    has = {0, 1}
    made.join("b", has, start)
    while made.whole is None:
        while made.requests:
            made.answer(min(made.requests))
        if made.writing:
            made.written()
        if len(has) < 40:
            has.update(range(len(has), len(has) + 2))
        made.now += 1.0
        made.step()
    assert made.whole
    assert made.now < 100 + 25 * bounds.BLOB_LACKED


def test_two_who_fetch_at_once_give_each_other_what_they_have() -> None:
    """A third one has all, and sends each of them a piece in a turn; each knows where the other one began."""
    starts = {"left": 0, "right": 200}
    fetches = {name: World([CHUNK] * 400, [*range(at, 400), *range(at)]) for name, at in starts.items()}
    pairs = [(fetches["left"], "right"), (fetches["right"], "left")]
    for made, other in pairs:
        made.has = {"all": ALL, other: fetches[other].disk}
        for peer, start in (("all", 399), (other, starts[other])):
            made.transfer.joined(peer, made.now, start)
        made.step()
    turns = 0
    while not all(made.whole for made in fetches.values()):
        turns += 1
        for made, other in pairs:
            made.now += 1 / 8
            if (number := asked_of(made, "all")) is not None:
                made.answer(number)
            while (number := asked_of(made, other)) is not None:
                made.answer(number)
            if made.writing:
                made.written()
            if made.whole is None:
                made.step()
    assert turns < 300  # 200 at best, and alone each takes 400


def asked_of(made: World, peer: str) -> int | None:
    """The oldest request that waits for this peer."""
    return next((number for number, (asked, _) in made.requests.items() if asked == peer), None)


@pytest.mark.parametrize("start", [None, 0, 20])
def test_one_that_gets_nothing_more_is_not_waited_for_without_end(start: int | None) -> None:
    made = World([CHUNK] * 40, list(range(40)))
    made.join("b", {0, 1}, start)
    made.join("c", {0, 3}, start)
    while made.whole is None:
        while made.requests:
            made.answer(min(made.requests))
        if made.writing:
            made.written()
        made.now += 0.1
        made.step()
    assert not made.whole
    assert made.now < 100 + 2 * (bounds.BLOB_LACKED + bounds.BLOB_PATIENCE)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans()), max_size=40))
def test_what_is_forgotten_leaves_no_trace(told: list[tuple[str, int, bool]]) -> None:
    """Whatever was said and asked before: as if the peer had left and another one had come in its place."""
    one, other = Pieces(range(10), 10), Pieces(range(10), 10)
    for pieces in (one, other):
        for peer in "abc":
            pieces.join(peer)
        taken = set[int]()
        for peer, piece, takes in told:
            if takes and (found := pieces.find(peer)) is not None:
                pieces.take(found)
                taken.add(found)
            if piece in taken:
                pieces.lack(peer, piece)
                pieces.put_back(piece)
                taken.remove(piece)
    one.forget("a")
    other.leave("a")
    other.join("a")
    assert not any(one.lacks("a", piece) for piece in range(10))
    for peer in "abc":
        first, second = one.find(peer), other.find(peer)
        assert (first is None) == (second is None)
        if first is not None and second is not None:
            assert one._rarity[first] == other._rarity[second]
    assert one._rarity == other._rarity
    assert list(map(set, one._wanted))[: len(other._wanted)] == list(map(set, other._wanted))[: len(one._wanted)]
