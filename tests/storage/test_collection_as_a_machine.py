"""Any order of publishing, pulling, pinning, removing, collecting (step by step), restarting, against plain dicts."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from storage import Collected, Hold, ModelPinned, Store, bounds, open_store
from wire.blob import Outline, outline_of
from wire.bounds import CHUNK
from wire.cid import content_hash
from wire.manifest import SignedManifest

from .made import model_of, piece

PIECES = [piece(n, size) for n, size in ((1, 100), (2, 100), (3, 100), (4, 100), (5, 100))]
# A blob is up to two full chunks and a short one; few different ones, so that blobs share them.
FULL = [piece(8), piece(9)]
CONTENT = st.tuples(st.lists(st.integers(0, 1), max_size=2), st.integers(0, 4))
NAME = st.integers(0, 4)
assert len(FULL[0]) == CHUNK


def pieces_of(content: tuple[list[int], int]) -> list[bytes]:
    return [FULL[i] for i in content[0]] + [PIECES[content[1]]]


class CollectionMachine(RuleBasedStateMachine):
    """`models` are the manifests put, each after its blob was whole; `holds` what is being pulled."""

    @initialize()
    def start(self) -> None:
        self._leaving = ExitStack()
        patch = self._leaving.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(bounds, "START_MAP", 256 * 1024)
        patch.setattr(bounds, "DISK_RESERVE", 0)
        patch.setattr(bounds, "GC_BATCH", 1)  # the smallest steps, so that others come in between everywhere
        patch.setattr(bounds, "GC_OUTLINES", 1)
        patch.setattr(bounds, "GC_MARKED", 2)
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._path = Path(self._leaving.enter_context(tempfile.TemporaryDirectory(dir=memory)))
        self._open()
        self.models: dict[int, tuple[SignedManifest, Outline]] = {}
        self.pinned: set[int] = set()

    def _open(self) -> None:
        self._closing = ExitStack()
        self.store: Store = self._closing.enter_context(open_store(self._path))
        self.steps: Iterator[Collected] | None = None
        self.holds: list[tuple[Hold, Outline, list[bytes]]] = []

    @rule(content=CONTENT, name=NAME)
    def publish(self, content: tuple[list[int], int], name: int) -> None:
        if name in self.models:
            return
        hold = self.store.blobs.hold([])
        outline = self.store.blobs.add(io.BytesIO(b"".join(pieces_of(content))), hold=hold)
        self.step()  # between the blob and its manifest
        self._put(name, outline)
        hold.release()

    def _put(self, name: int, outline: Outline) -> None:
        signed = model_of(outline.hash(), name=f"m{name}")
        self.store.models.put(signed)
        self.models[name] = signed, outline

    @rule(content=CONTENT)
    def add_without_a_model(self, content: tuple[list[int], int]) -> None:
        self.store.blobs.add(io.BytesIO(b"".join(pieces_of(content))))

    @rule(content=CONTENT)
    def begin_to_pull(self, content: tuple[list[int], int]) -> None:
        pieces = pieces_of(content)
        outline = outline_of(pieces)
        hold = self.store.blobs.hold([outline.hash()])
        if self.store.outline(outline.hash()) is None:
            self.store.blobs.put_outline(outline)
        missing = [outline.chunk(i) for i in self.store.missing(outline)]
        self.holds.append((hold, outline, missing))

    @precondition(lambda self: self.holds)
    @rule(name=NAME, done=st.booleans())
    def end_a_pull(self, name: int, done: bool) -> None:
        hold, outline, missing = self.holds.pop(0)
        if done:
            known = {content_hash(p): p for p in PIECES + FULL}
            self.store.blobs.put_chunks([(digest, known[digest]) for digest in missing])
            assert self.store.missing(outline) == []  # what was not missing then has not gone since
            if name not in self.models:
                self._put(name, outline)
        hold.release()

    @rule(name=NAME)
    def remove(self, name: int) -> None:
        if name not in self.models:
            return
        if name in self.pinned:
            with pytest.raises(ModelPinned):
                self.store.models.remove(self.models[name][0].model)
            return
        assert self.store.models.remove(self.models.pop(name)[0].model)

    @rule(name=NAME)
    def pin(self, name: int) -> None:
        if name in self.models:
            assert self.store.pins.pin(self.models[name][0].model) is (name not in self.pinned)
            self.pinned.add(name)

    @rule(name=NAME)
    def unpin(self, name: int) -> None:
        if name in self.models:
            assert self.store.pins.unpin(self.models[name][0].model) is (name in self.pinned)
            self.pinned.discard(name)

    @precondition(lambda self: self.steps is None)
    @rule()
    def begin_to_collect(self) -> None:
        self.steps = self.store.collection()

    @rule(count=st.integers(1, 6))
    def collect_a_little(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def step(self) -> None:
        if self.steps is not None and next(self.steps, None) is None:
            self.steps = None

    @rule()
    def collect_all(self) -> None:
        if self.steps is not None:
            list(self.steps)
            self.steps = None
        list(self.store.collection())
        outlines = [o for _, o in self.models.values()] + [outline for _, outline, _ in self.holds]
        # what is held may lack what it has not fetched; beyond what is needed nothing is left
        needed = {outline.chunk(i) for outline in outlines for i in range(outline.count)}
        here = {content_hash(p) for p in PIECES + FULL if self.store.chunk(content_hash(p))}
        assert here <= needed
        statistics = self.store.blobs.statistics()
        assert (statistics.chunks, statistics.outlines) == (len(here), len({o.hash() for o in outlines}))

    @rule()
    def restart(self) -> None:
        self._closing.close()  # with a collection left where it was, as a kill would
        self._open()

    @invariant()
    def every_model_is_whole(self) -> None:
        for signed, outline in self.models.values():
            assert self.store.models.get(signed.model) == signed
            assert self.store.blobs.complete(outline.hash())
            assert all(self.store.chunk(outline.chunk(i)) for i in range(outline.count))
        assert self.store.pins.all() == {self.models[name][0].model for name in self.pinned}

    def teardown(self) -> None:
        self._closing.close()
        self._leaving.close()


TestCollectionMachine = CollectionMachine.TestCase
TestCollectionMachine.settings = settings(max_examples=60, stateful_step_count=40)
