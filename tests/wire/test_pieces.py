"""Pieces: whatever they were, they are the same bytes at the end, and tiny ones weigh no more than these."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from wire.pieces import Pieces

KIB = 1024


@given(st.lists(st.binary(max_size=40) | st.integers(4095, 4097).map(bytes), max_size=30))
def test_they_are_joined_in_their_order(added: list[bytes]) -> None:
    pieces = Pieces()
    for data in added:
        pieces.add(data)
        assert pieces.size <= sum(map(len, added))
    assert pieces.size == sum(map(len, added))
    assert pieces.whole() == b"".join(added)
    assert (pieces.size, pieces.whole()) == (0, b"")


def test_bytes_one_by_one_weigh_no_more_than_at_once() -> None:
    pieces, data = Pieces(), bytes(192 * KIB)
    tracemalloc.start()
    try:
        for at in range(len(data)):
            pieces.add(data[at : at + 1])
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 2.5 * len(data)  # the buffer, an eighth above it, and once the smaller one before it
    assert pieces.whole() == data


def test_a_large_piece_alone_is_not_copied() -> None:
    pieces, data = Pieces(), bytes(4096)
    pieces.add(data)
    assert pieces.whole() is data
