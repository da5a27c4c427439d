"""The peer book on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2p import bounds
from p2p.joining.peerbook import PeerBook
from wire.canonical import Record, encode


def test_it_is_read_back_latest_first(tmp_path: Path) -> None:
    path = tmp_path / "data" / "peers"
    book = PeerBook(path)
    book.note("a", ["/ip4/192.0.2.1/tcp/1"], 10)
    book.note("b", ["/ip4/192.0.2.2/tcp/2"], 20)
    book.note("nowhere", [], 30)
    book.save()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [saved.peer for saved in PeerBook(path).latest()] == ["b", "a"]
    assert not path.with_name("peers.new").exists()


def test_it_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    book = PeerBook(path)
    for number in range(bounds.BOOK_PEERS + 5):
        book.note(str(number), ["/ip4/192.0.2.1/tcp/1"] + ["x" * 300] + [str(n) for n in range(99)], number)
    book.save()
    latest = PeerBook(path).latest()
    assert len(latest) == bounds.BOOK_PEERS
    assert latest[0].peer == str(bounds.BOOK_PEERS + 4)
    assert len(latest[0].addresses) == bounds.ADDRESSES


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x82\xa6format\x02\xa5peers\x90", bytes(bounds.BOOK_BYTES + 1)])
def test_a_bad_file_is_left_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "peers"
    path.write_bytes(content)
    book = PeerBook(path)
    assert book.latest() == []
    book.note("a", ["/ip4/192.0.2.1/tcp/1"], 1)
    book.save()
    assert len(PeerBook(path).latest()) == 1


DAY = 24 * 3600 * 1000


def public(n: int) -> str:
    return f"/ip4/{11 + n // 250}.{n % 250}.1.1/tcp/4001"


def test_where_a_peer_was_reached_stands_before_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    book = PeerBook(path)
    book.note("a", [public(1), public(2)], 10, reached=public(3))
    book.note("a", [public(4)], 20)
    assert book.of("a") == (public(3), public(4))
    book.note("a", [public(4)], 30, reached=public(4))
    assert book.of("a") == (public(4), public(3))
    book.save()
    assert PeerBook(path).of("a") == (public(4), public(3))
    assert PeerBook(path).latest()[0].worked_ms == 30


def test_no_crowd_of_strangers_pushes_out_a_peer_that_was_reached() -> None:
    book = PeerBook(None)
    for n in range(10):
        book.note(f"friend {n}", [public(n)], 1 + n, reached=public(n))
    for n in range(5 * bounds.BOOK_PEERS):
        book.note(f"stranger {n}", [public(300 + n)], 1000 + n)
    assert {f"friend {n}" for n in range(10)} <= {saved.peer for saved in book.latest()}


def test_of_those_only_told_the_most_crowded_range_gives_way_first() -> None:
    book = PeerBook(None)
    for n in range(40):
        book.note(f"alone {n}", [public(n)], n)
    for n in range(2 * bounds.BOOK_PEERS):
        book.note(f"crowd {n}", [f"/ip4/99.9.{n // 250}.{n % 250}/tcp/1"], 1000 + n)
    assert {f"alone {n}" for n in range(40)} <= {saved.peer for saved in book.latest()}


def test_anchors_stand_first_and_stay_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    book = PeerBook(path)
    for n in range(5):
        book.note(str(n), [], n, reached=public(n))
    book.anchor(["1", "3"])
    book.save()
    read = PeerBook(path).latest()
    assert [(saved.peer, saved.anchor) for saved in read[:3]] == [("3", True), ("1", True), ("4", False)]


def test_what_worked_is_kept_for_weeks_and_what_was_told_for_less() -> None:
    book = PeerBook(None)
    book.note("a", [public(2)], DAY, reached=public(1))
    book.note("b", [public(3)], DAY)
    book.forget_old(DAY + bounds.BOOK_TOLD_MS)
    assert [saved.peer for saved in book.latest()] == ["a"]
    assert book.of("a") == (public(1),)
    book.forget_old(DAY + bounds.BOOK_WORKED_MS)
    assert book.latest() == []


def test_the_book_of_the_release_before_is_read(tmp_path: Path) -> None:
    class OldPeer(Record):
        peer: str
        addresses: tuple[str, ...]
        seen_ms: int

    class OldBook(Record):
        format: int
        peers: tuple[OldPeer, ...]

    path = tmp_path / "peers"
    path.write_bytes(encode(OldBook(format=1, peers=(OldPeer(peer="a", addresses=(public(1),), seen_ms=5),))))
    assert PeerBook(path).of("a") == (public(1),)


def test_a_disk_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    book = PeerBook(tmp_path / "file" / "peers")
    book.note("a", ["/ip4/192.0.2.1/tcp/1"], 1)
    book.save()
    assert len(book.latest()) == 1
