"""The peer book on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2p import bounds
from p2p.peerbook import PeerBook


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


def test_a_disk_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    book = PeerBook(tmp_path / "file" / "peers")
    book.note("a", ["/ip4/192.0.2.1/tcp/1"], 1)
    book.save()
    assert len(book.latest()) == 1
