"""Any order of adding, putting, losing the process and damage, against a dict that says what must be there."""

from __future__ import annotations

import io
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from storage import Store, StoreError, bounds, open_store
from storage.sealed import open_sealed
from wire.blob import Outline, outline_of
from wire.bounds import CHUNK
from wire.cid import content_hash
from wire.errors import RecordError

from .made import piece
from .test_blobs import spoil

# Few different pieces, so that blobs share them, drawn by their place here. A blob's last may be one of the short ones.
ALL = [piece(1), piece(2), piece(3), piece(9, 1), piece(9, 1000)]
FULL, ANY = st.integers(0, 2), st.integers(0, 4)
CONTENT = st.tuples(st.lists(FULL, max_size=3), st.lists(ANY, max_size=1)).map(lambda parts: parts[0] + parts[1])
assert len(ALL[2]) == CHUNK


def taken(places: list[int]) -> list[bytes]:
    return [ALL[place] for place in places]


class BlobMachine(RuleBasedStateMachine):
    """`chunks` and `outlines` are what must be there; `spoilt` lies damaged on disk, and `noticed` was read since."""

    @initialize()
    def start(self) -> None:
        self._leaving = ExitStack()
        # a map so small that it has to grow on the way
        patch = self._leaving.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(bounds, "START_MAP", 256 * 1024)
        patch.setattr(bounds, "DISK_RESERVE", 0)
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._path = Path(self._leaving.enter_context(tempfile.TemporaryDirectory(dir=memory)))
        self._open()
        self.chunks: dict[bytes, bytes] = {}
        self.outlines: dict[bytes, Outline] = {}
        self.spoilt: set[bytes] = set()
        self.noticed: set[bytes] = set()

    def _open(self) -> None:
        self._closing = ExitStack()
        self.store: Store = self._closing.enter_context(open_store(self._path))

    def _now_has(self, pieces: list[bytes]) -> None:
        for data in pieces:
            self.chunks[content_hash(data)] = data
            self.spoilt.discard(content_hash(data))
            self.noticed.discard(content_hash(data))

    @rule(content=CONTENT)
    def add(self, content: list[int]) -> None:
        pieces = taken(content)
        outline = self.store.blobs.add(io.BytesIO(b"".join(pieces)))
        assert outline == outline_of(pieces)
        self._now_has(pieces)
        self.outlines[outline.hash()] = outline

    @rule(content=CONTENT)
    def put_outline(self, content: list[int]) -> None:
        outline = outline_of(taken(content))
        self.store.blobs.put_outline(outline)
        self.outlines[outline.hash()] = outline

    @rule(places=st.lists(ANY, max_size=5))
    def put_chunks(self, places: list[int]) -> None:
        pieces = taken(places)
        self.store.blobs.put_chunks([(content_hash(p), p) for p in pieces])
        self._now_has(pieces)

    @rule(places=st.lists(ANY, max_size=3), wrong=ANY, at=st.integers(0, 3))
    def put_chunks_with_a_wrong_one(self, places: list[int], wrong: int, at: int) -> None:
        batch = [(content_hash(p), p) for p in taken(places)]
        batch.insert(at, (content_hash(ALL[wrong]), b"not that"))
        with pytest.raises(RecordError):
            self.store.blobs.put_chunks(batch)

    @rule(place=ANY)
    def damage(self, place: int) -> None:
        digest = content_hash(ALL[place])
        if digest in self.chunks and digest not in self.spoilt:
            spoil(self.store, digest)
            self.spoilt.add(digest)

    @rule(place=ANY)
    def read(self, place: int) -> None:
        digest = content_hash(ALL[place])
        if digest in self.spoilt:
            assert self.store.chunk(digest) is None
            self.noticed.add(digest)
        else:
            assert self.store.chunk(digest) == self.chunks.get(digest)

    @rule(content=CONTENT)
    def seal(self, content: list[int]) -> None:
        pieces = taken(content)
        outline = outline_of(pieces)
        try:
            fd = open_sealed(self.store.blobs, outline.hash())
        except StoreError:
            digests = {content_hash(p) for p in pieces}
            assert outline.hash() not in self.outlines or digests - set(self.chunks) or digests & self.spoilt
            self.noticed |= {d for d in digests & self.spoilt if self.store.chunk(d) is None}
        else:
            try:
                assert os.pread(fd, 2 << 20, 0) == b"".join(pieces)
            finally:
                os.close(fd)

    @rule()
    def restart(self) -> None:
        self._closing.close()
        self._open()
        self.noticed.clear()

    @invariant()
    def missing_is_what_is_not_here(self) -> None:
        for blob, outline in self.outlines.items():
            assert self.store.outline(blob) == outline
            lacking = [
                i
                for i in range(outline.count)
                if outline.chunk(i) not in self.chunks or outline.chunk(i) in self.noticed
            ]
            assert self.store.missing(outline) == lacking
            assert self.store.blobs.complete(blob) == (not lacking)

    @invariant()
    def nothing_is_kept_twice(self) -> None:
        statistics = self.store.blobs.statistics()
        assert (statistics.chunks, statistics.outlines) == (len(self.chunks), len(self.outlines))
        assert statistics.damaged == len(self.noticed)

    def teardown(self) -> None:
        self._closing.close()
        self._leaving.close()


TestBlobMachine = BlobMachine.TestCase
TestBlobMachine.settings = settings(max_examples=60, stateful_step_count=30)
