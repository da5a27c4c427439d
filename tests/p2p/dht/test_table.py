"""The routing table: the nearest are known best, the dead leave, and a range of addresses crowds nobody out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.peer.id import ID

from p2p import bounds
from p2p.dht.table import Table
from p2p.lookup import position

ME = ID(b"me")


def peers(count: int, name: str = "peer") -> list[ID]:
    return [ID(f"{name} {n}".encode()) for n in range(count)]


def bucket_of(peer: ID) -> int:
    return (position(peer.to_bytes()) ^ position(ME.to_bytes())).bit_length()


@given(st.integers(0, 150), st.binary(min_size=1, max_size=8))
def test_the_nearest_of_those_known_are_named_nearest_first(count: int, key: bytes) -> None:
    table = Table(ME)
    for peer in peers(count):
        table.add(peer, None, 0.0)
    named = table.nearest(key)
    assert named == sorted(table, key=lambda peer: position(peer.to_bytes()) ^ position(key))[: bounds.CLOSEST]


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=200))
def test_it_knows_who_came_and_has_not_left(events: list[tuple[int, bool]]) -> None:
    table, known, all_ = Table(ME), set[ID](), peers(61)
    for number, comes in events:
        peer = all_[number]
        if comes:
            bucket = [other for other in known if bucket_of(other) == bucket_of(peer)]
            new = table.add(peer, None, 0.0)
            assert new is (peer not in known and len(bucket) < bounds.CLOSEST)
            known |= {peer} if new else set()
        else:
            table.remove(peer)
            known.discard(peer)
        assert set(table) == known
        assert len(table) == len(known)


def test_this_peer_is_not_in_its_own_table() -> None:
    assert not Table(ME).add(ME, None, 0.0)


def test_who_has_been_silent_is_asked_about_the_longest_silent_first() -> None:
    table, (one, two, three) = Table(ME), peers(3)
    for at, peer in enumerate((one, two, three)):
        table.add(peer, None, float(at))
    table.heard(one, 50.0)
    assert table.quiet(bounds.DHT_QUIET) == []
    assert table.quiet(bounds.DHT_QUIET + 2) == [two, three]
    table.heard(two, bounds.DHT_QUIET)
    assert table.quiet(bounds.DHT_QUIET + 2) == [three]


def test_many_ids_of_one_range_keep_no_other_range_out() -> None:
    """An eclipse by ids that cost nothing: whoever comes from elsewhere takes their places, and not they his."""
    far = [peer for peer in peers(2000, "evil") if bucket_of(peer) == 256]
    honest = [peer for peer in peers(100) if bucket_of(peer) == 256][:15]
    table = Table(ME)
    for peer in far[:500]:
        table.add(peer, "6.6.0.0/16", 0.0)
    assert len(table) == bounds.CLOSEST
    for n, peer in enumerate(honest):
        assert table.add(peer, f"10.{n}.0.0/16", 0.0)
    for peer in far[500:]:
        assert not table.add(peer, "6.6.0.0/16", 0.0)
    assert set(honest) <= set(table)
    assert len(table) == bounds.CLOSEST


@pytest.mark.parametrize("range_", [None, "1.1.0.0/16"])
def test_of_a_full_bucket_of_many_ranges_nobody_gives_way(range_: str | None) -> None:
    table = Table(ME)
    far = [peer for peer in peers(200) if bucket_of(peer) == 256]
    for n, peer in enumerate(far[: bounds.CLOSEST]):
        table.add(peer, f"10.{n}.0.0/16", 0.0)
    assert not table.add(far[bounds.CLOSEST], range_, 0.0)
