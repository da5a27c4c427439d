"""Pieces: whatever they were, they are the same bytes at the end, and tiny ones weigh no more than these."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wire.pieces import GATHERED, SMALL, Pieces


@given(st.lists(st.binary(max_size=40) | st.integers(SMALL - 1, SMALL + 1).map(bytes), max_size=30))
def test_they_are_joined_in_their_order(added: list[bytes]) -> None:
    pieces = Pieces()
    for data in added:
        pieces.add(data)
        assert pieces.size <= sum(map(len, added))
    assert pieces.size == sum(map(len, added))
    assert pieces.whole() == b"".join(added)
    assert (pieces.size, pieces.parts, pieces.whole()) == (0, 0, b"")


def test_bytes_one_by_one_cost_few_objects() -> None:
    pieces = Pieces()
    for at in range(3 * GATHERED):
        pieces.add(bytes((at % 251,)))
    assert pieces.parts <= 5
    assert pieces.whole() == bytes(at % 251 for at in range(3 * GATHERED))


def test_a_large_piece_alone_is_not_copied() -> None:
    pieces, data = Pieces(), bytes(SMALL)
    pieces.add(data)
    assert pieces.whole() is data
