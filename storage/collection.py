"""Collecting garbage: blobs that no manifest names, nor a circuit of a model that is here, then chunks that none does.

Mark and sweep, in steps that each take one short transaction, so that writers wait for one step at most and readers
never. Nothing is counted on disk that could drift: what is needed is read from the manifests and outlines anew. Killed
between two steps, it leaves a store that is whole, and chunks that the next collection finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from wire.canonical import decode
from wire.cid import to_cid
from wire.manifest import Manifest

from . import bounds
from .blobs import Blobs
from .circuits import Circuits
from .environment import Environment
from .errors import StoreDamaged
from .holds import Holds
from .models import Models

if TYPE_CHECKING:
    from .environment import Txn


@dataclass(frozen=True)
class Collected:
    """What was freed so far, `size` in bytes of content; and how many of all chunks were looked at."""

    blobs: int = 0
    chunks: int = 0
    size: int = 0
    seen: int = 0
    total: int = 0


class Collection:
    """One collection: iterate `steps`, and close it when leaving early. Each step blocks for one transaction."""

    def __init__(
        self,
        environment: Environment,
        blobs: Blobs,
        models: Models,
        circuits: Circuits,
        holds: Holds,
        *,
        dry_run: bool,
    ) -> None:
        self._environment, self._blobs, self._models, self._holds = environment, blobs, models, holds
        self._circuits = circuits
        self._dry_run = dry_run  # count, and delete nothing
        self._outlines, self._chunks = environment.table("outlines"), environment.table("chunks")
        self._have = environment.table("have")
        self._dead: set[bytes] = set()  # blobs
        self._freed_chunks = self._freed_size = self._seen = 0
        self._total = blobs.statistics().chunks

    def steps(self) -> Iterator[Collected]:
        """Do a little and say how far it is, until done.

        StoreDamaged when a manifest or an outline cannot be read: what it needs is then not known, and nothing that
        it may need is deleted.
        """
        with self._holds.collecting():
            self._environment.barrier()  # what was being written is now on disk, or will be noted as arrived
            needed: set[bytes] = set()
            for page in self._environment.pages(self._environment.table("models"), bounds.GC_BATCH):
                for signed in filter(None, map(self._models.get, page)):
                    needed.update(file.blob for file in decode(signed.body, Manifest).files)
                    needed |= self._circuits.blobs(signed.model)
                yield self._so_far()
            for page in self._environment.pages(self._outlines, bounds.GC_BATCH):
                self._sweep_outlines([blob for blob in page if blob not in needed])
                yield self._so_far()
            shards = min(256, 1 + self._total // bounds.GC_MARKED)
            edges = [256 * shard // shards for shard in range(shards + 1)]
            for low, high in pairwise(edges):
                yield from self._collect_chunks(low, high)

    def _so_far(self) -> Collected:
        total = max(self._total, self._seen)
        return Collected(len(self._dead), self._freed_chunks, self._freed_size, self._seen, total)

    def _sweep_outlines(self, candidates: list[bytes]) -> None:
        def work(txn: Txn) -> list[bytes]:
            dead = [blob for blob in candidates if not self._holds.covers(blob)]
            for blob in [] if self._dry_run else dead:
                txn.delete(blob, db=self._outlines)
            return dead

        if candidates:
            self._dead.update(self._environment.write(work, freeing=True))

    def _collect_chunks(self, low: int, high: int) -> Iterator[Collected]:
        """Mark and sweep the chunks whose hash begins with a byte from `low` to below `high`: memory is bounded."""
        marked: set[bytes] = set()
        for page in self._environment.pages(self._outlines, bounds.GC_OUTLINES):
            for blob in page:
                if blob not in self._dead:
                    marked |= self._chunks_of(blob, low, high)
            yield self._so_far()
        for page in self._environment.pages(self._chunks, bounds.GC_BATCH, bytes([low])):
            here = [digest for digest in page if digest[0] < high]
            self._sweep_chunks([digest for digest in here if digest not in marked])
            self._seen += len(here)
            yield self._so_far()
            if len(here) < len(page):
                return

    def _chunks_of(self, blob: bytes, low: int, high: int) -> set[bytes]:
        outline = self._blobs.outline(blob)
        if outline is None:
            raise StoreDamaged(
                f"The outline of the blob {to_cid(blob)} is damaged on disk, so nobody can tell which chunks it needs. "
                "Mend it first: hallmark store verify --repair"
            )
        return {digest for i in range(outline.count) if low <= (digest := outline.chunk(i))[0] < high}

    def _sweep_chunks(self, candidates: list[bytes]) -> None:
        def work(txn: Txn) -> tuple[int, int]:
            count = size = 0
            for digest in candidates:
                if self._holds.covers(digest):
                    continue
                known = txn.get(digest, db=self._have)
                size += 0 if known is None else int.from_bytes(known, "big")  # one in quarantine was lost already
                count += 1
                if not self._dry_run:
                    txn.delete(digest, db=self._chunks)
                    txn.delete(digest, db=self._have)
            return count, size

        if candidates:
            count, size = self._environment.write(work, freeing=True)
            self._freed_chunks += count
            self._freed_size += size
