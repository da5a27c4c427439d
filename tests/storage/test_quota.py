"""A bound on what files may take: what goes beyond it is refused whole."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from storage import StoreFull, open_store
from wire.bounds import CHUNK
from wire.cid import content_hash

from .made import manifest, piece
from .test_blobs import spoil


def batch(*numbers: int) -> list[tuple[bytes, bytes]]:
    return [(content_hash(piece(n)), piece(n)) for n in numbers]


def test_beyond_the_quota_nothing_of_a_batch_is_kept(path: Path) -> None:
    with open_store(path, 4 * CHUNK) as store:
        store.blobs.put_chunks(batch(1, 2))
        with pytest.raises(StoreFull, match=f"its quota is {4 * CHUNK}. Nothing was lost"):
            store.blobs.put_chunks(batch(3, 4))
        assert store.blobs.statistics().chunks == 2
        store.blobs.put_chunks(batch(3))
        with pytest.raises(StoreFull, match="hallmark store gc"):
            store.blobs.add(io.BytesIO(piece(5) + piece(6)))
        store.blobs.put_chunks(batch(1, 2, 3))  # what is here already costs nothing
        store.models.put(manifest())  # nor are records counted
        spoil(store, content_hash(piece(1)))
        assert store.chunk(content_hash(piece(1))) is None
        store.blobs.put_chunks(batch(1))  # and what is damaged can be mended
        list(store.collection())
        store.blobs.put_chunks(batch(7, 8, 9))


def test_a_quota_that_was_lowered_keeps_what_is_there(path: Path) -> None:
    with open_store(path) as store:
        store.blobs.put_chunks(batch(1, 2, 3))
    with open_store(path, CHUNK) as store:
        assert store.blobs.statistics().chunks == 3
        store.blobs.put_chunks(batch(2))
        with pytest.raises(StoreFull):
            store.blobs.put_chunks(batch(4))
        assert all(store.chunk(digest) == data for digest, data in batch(1, 2, 3))
