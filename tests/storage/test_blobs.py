from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from storage import Store, StoreDamaged, StoreError, bounds, open_store
from storage.sealed import open_sealed
from wire.blob import Outline, outline_of
from wire.bounds import CHUNK
from wire.cid import content_hash
from wire.errors import RecordError

from .made import piece


class Dribble(io.BytesIO):
    """A stream whose reads are short."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 99_991))


def pieces_of(data: bytes) -> list[bytes]:
    return [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]


def spoil(store: Store, digest: bytes) -> None:
    """Change a stored chunk as a failing disk would: behind the store's back."""
    table = store._environment.table("chunks")

    def work(txn: Any) -> None:
        data = bytearray(txn.get(digest, db=table))
        data[len(data) // 2] ^= 1
        txn.put(digest, bytes(data), db=table)

    store._environment.write(work)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_a_file_comes_back_as_it_was(store: Store, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    outline = store.blobs.add(tmp_path / "file")
    assert outline == outline_of(pieces_of(data))
    assert store.outline(outline.hash()) == outline
    assert store.blobs.complete(outline.hash())
    assert b"".join(store.chunk(outline.chunk(i)) or b"" for i in range(outline.count)) == data


def test_short_reads_change_nothing(store: Store) -> None:
    data = os.urandom(2 * CHUNK + 5)
    assert store.blobs.add(Dribble(data)) == outline_of(pieces_of(data))


def test_progress_ends_at_the_size(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "BATCH", 2)
    seen: list[int] = []
    store.blobs.add(io.BytesIO(b"".join(piece(i) for i in range(5))), seen.append)
    assert seen == [2 * CHUNK, 4 * CHUNK, 5 * CHUNK]


def test_the_same_bytes_are_stored_once(store: Store) -> None:
    store.blobs.add(io.BytesIO(piece(1) * 3))
    before = store.blobs.statistics()
    assert before.chunks == 1
    assert before.chunk_bytes >= CHUNK
    store.blobs.add(io.BytesIO(piece(1) * 2))
    after = store.blobs.statistics()
    assert (after.chunks, after.outlines) == (1, 2)


def test_missing_is_what_was_not_put(store: Store) -> None:
    chunks = [piece(i) for i in range(4)]
    outline = outline_of(chunks)
    assert store.missing(outline) == [0, 1, 2, 3]
    store.blobs.put_chunks([(content_hash(chunks[2]), chunks[2])])
    assert store.missing(outline) == [0, 1, 3]
    assert not store.blobs.complete(outline.hash())
    store.blobs.put_outline(outline)
    assert not store.blobs.complete(outline.hash())
    store.blobs.put_chunks([(content_hash(c), c) for c in chunks])
    assert store.missing(outline) == []
    assert store.blobs.complete(outline.hash())


def test_one_wrong_chunk_and_none_of_the_batch_is_kept(store: Store) -> None:
    good, bad = piece(1), piece(2)
    with pytest.raises(RecordError, match="do not match"):
        store.blobs.put_chunks([(content_hash(good), good), (content_hash(bad), bad[:-1] + b"!")])
    assert store.chunk(content_hash(good)) is None
    assert store.blobs.statistics().chunks == 0


@pytest.mark.parametrize("data", [b"", bytes(CHUNK + 1)])
def test_a_chunk_out_of_bounds_is_refused(store: Store, data: bytes) -> None:
    with pytest.raises(RecordError, match="the bounds are"):
        store.blobs.put_chunks([(content_hash(data), data)])


def test_a_batch_out_of_bounds_is_our_own_mistake(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_BATCH", 1)
    with pytest.raises(ValueError, match="bound is 1"):
        store.blobs.put_chunks([(content_hash(b"a"), b"a"), (content_hash(b"b"), b"b")])


def test_an_outline_that_contradicts_itself_is_refused(store: Store) -> None:
    for lie in (
        Outline(size=CHUNK + 1, chunk_size=CHUNK, chunks=bytes(32)),
        Outline(size=-1, chunk_size=CHUNK, chunks=b""),
        Outline(size=1, chunk_size=1, chunks=bytes(32)),
        Outline(size=1, chunk_size=CHUNK, chunks=bytes(31)),
    ):
        with pytest.raises(RecordError):
            store.blobs.put_outline(lie)
        assert store.outline(lie.hash()) is None


def test_an_outline_that_lies_about_a_chunks_size_is_never_complete(store: Store) -> None:
    # the hash of a short chunk, in a place where the outline says a full one stands
    store.blobs.put_chunks([(content_hash(b"short"), b"short")])
    lie = Outline(size=CHUNK + 5, chunk_size=CHUNK, chunks=2 * content_hash(b"short"))
    store.blobs.put_outline(lie)
    assert store.missing(lie) == [0]
    with pytest.raises(StoreError, match="lacks 1 of its 2"):
        open_sealed(store.blobs, lie.hash())


def test_unknown_names_are_absent(store: Store) -> None:
    for name in (b"", b"\0", bytes(32), bytes(400)):
        assert store.chunk(name) is None
        assert store.outline(name) is None
        assert store.manifest(name) is None


def test_a_damaged_chunk_is_never_served_and_can_be_mended(store: Store) -> None:
    outline = store.blobs.add(io.BytesIO(piece(1) + piece(2)))
    digest = outline.chunk(1)
    spoil(store, digest)
    files = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(StoreDamaged, match="Chunk 1"):
        open_sealed(store.blobs, outline.hash())
    assert set(Path("/proc/self/fd").iterdir()) == files
    assert store.chunk(digest) is None
    assert store.missing(outline) == [1]
    assert store.blobs.statistics().damaged == 1
    store.blobs.put_chunks([(digest, piece(2))])
    assert store.chunk(digest) == piece(2)
    assert store.missing(outline) == []
    assert store.blobs.statistics().damaged == 0


def test_adding_a_file_again_mends_what_nobody_noticed(store: Store) -> None:
    outline = store.blobs.add(io.BytesIO(piece(1)))
    spoil(store, outline.chunk(0))
    store.blobs.add(io.BytesIO(piece(1)))
    assert store.chunk(outline.chunk(0)) == piece(1)


def test_a_sealed_blob_is_whole_and_cannot_be_changed(store: Store) -> None:
    data = os.urandom(CHUNK + 100)
    outline = store.blobs.add(io.BytesIO(data))
    fd = open_sealed(store.blobs, outline.hash())
    try:
        assert os.read(fd, len(data) + 1) == data
        for attempt in (
            lambda: os.pwrite(fd, b"x", 0),
            lambda: os.ftruncate(fd, 1),
            lambda: os.ftruncate(fd, len(data) + 1),
        ):
            with pytest.raises(PermissionError):
                attempt()
        assert os.get_inheritable(fd) is False
    finally:
        os.close(fd)


def test_a_sealed_blob_must_be_all_here_and_fit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="not in the store"):
        open_sealed(store.blobs, bytes(32))
    outline = store.blobs.add(io.BytesIO(piece(1)))
    monkeypatch.setattr("storage.sealed._memory_available", lambda: CHUNK - 1)
    with pytest.raises(StoreError, match="of memory"):
        open_sealed(store.blobs, outline.hash())


def test_everything_is_there_after_a_restart(path: Path) -> None:
    with open_store(path) as store:
        outline = store.blobs.add(io.BytesIO(piece(1) + piece(2)))
    with open_store(path) as store:
        assert store.blobs.complete(outline.hash())
        assert store.chunk(outline.chunk(1)) == piece(2)
