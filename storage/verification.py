"""Reading everything back: each chunk against its name, each record against the hash that stands in front of it.

A damaged chunk goes into quarantine: its bytes stay, and `have` forgets it, so that it counts as missing from then on,
also after a restart, and is fetched again like any other. One that reads well again comes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire.blob import read_outline
from wire.canonical import decode
from wire.cid import content_hash
from wire.errors import RecordError
from wire.manifest import Manifest, SignedManifest

from . import bounds
from .blobs import Blobs
from .checked import without_hash
from .environment import Environment
from .errors import StoreDamaged
from .models import Models
from .standing import HEAD

if TYPE_CHECKING:
    from .environment import Table, Txn


@dataclass(frozen=True)
class Verified:
    """How far a verification is, and what it found."""

    chunks: int = 0
    total: int = 0
    size: int = 0  # bytes of the chunks
    damaged: int = 0  # chunks
    restored: int = 0  # chunks that came back from quarantine
    outlines: int = 0  # damaged ones; they count as missing by themselves
    receipts: tuple[bytes, ...] = ()  # digests of damaged ones: nobody else may have them
    ballots: int = 0  # damaged ones
    known: int = (
        0  # damaged manifests of the catalogue; like damaged names, they count as not known, and are told again
    )
    names: int = 0  # damaged name records
    counts: int = 0  # damaged ones; they begin at zero again
    audits: int = 0  # damaged ones; they do not count any more
    frauds: int = 0  # damaged files; nobody else may have them


@dataclass(frozen=True)
class ModelState:
    """One model: its manifest (None when that is damaged), and how many of its files and chunks are not whole."""

    model: bytes
    signed: SignedManifest | None
    blobs: tuple[bytes, ...]  # the files that are not complete
    damaged: int  # chunks in quarantine, or found damaged
    missing: int  # chunks that are not here, the damaged ones among them; of known outlines only


class Verification:
    """One pass over the store: iterate `steps`. Each reads 16 MiB at most, and writes only what it found damaged."""

    def __init__(self, environment: Environment, blobs: Blobs) -> None:
        self._environment, self._blobs = environment, blobs
        self._chunks, self._have = environment.table("chunks"), environment.table("have")
        self._total = blobs.statistics().chunks
        self._seen = self._size = self._damaged = self._restored = self._outlines = 0
        self._receipts: list[bytes] = []
        self._wrong = Counter[str]()

    def steps(self) -> Iterator[Verified]:
        """Check a little and say how far it is, until done; the last one is the result."""
        for page in self._environment.pages(self._chunks, bounds.VERIFY_BATCH):
            self._check_chunks(page)
            yield self._so_far()
        outlines = self._environment.table("outlines")
        for page in self._environment.pages(outlines, bounds.GC_OUTLINES):
            self._outlines += sum(not self._is_outline(outlines, blob) for blob in page)
            yield self._so_far()
        receipts = self._environment.table("receipts")
        for page in self._environment.pages(receipts, 1):
            self._receipts += [digest for digest in page if not self._is_checked(receipts, digest, 8)]
            yield self._so_far()
        heads = {"ballots": 8, "known": 8, "name_records": HEAD, "counts": 0, "audits": 8, "frauds": 0}
        for name, head in heads.items():
            table = self._environment.table(name)
            for page in self._environment.pages(table, bounds.VERIFY_BATCH):
                self._wrong[name] += sum(not self._is_checked(table, key, head) for key in page)
                yield self._so_far()
        yield self._so_far()

    def _so_far(self) -> Verified:
        return Verified(
            chunks=self._seen,
            total=max(self._total, self._seen),
            size=self._size,
            damaged=self._damaged,
            restored=self._restored,
            outlines=self._outlines,
            receipts=tuple(self._receipts),
            ballots=self._wrong["ballots"],
            known=self._wrong["known"],
            names=self._wrong["name_records"],
            counts=self._wrong["counts"],
            audits=self._wrong["audits"],
            frauds=self._wrong["frauds"],
        )

    def _check_chunks(self, page: list[bytes]) -> None:
        wrong = [digest for digest in page if not self._is_whole(digest)]
        if wrong:
            good = self._environment.write(lambda txn: sum(self._settle(txn, digest) for digest in wrong))
            self._blobs.forget_damage(wrong)
            self._restored += good
            self._damaged += len(wrong) - good

    def _is_whole(self, digest: bytes) -> bool:
        with self._environment.read() as txn:
            stored, known = txn.get(digest, db=self._chunks), txn.get(digest, b"", db=self._have)
            if stored is None:
                return True  # collected meanwhile
            self._seen += 1
            self._size += len(stored)
            return content_hash(stored) == digest and bytes(known) == len(stored).to_bytes(4, "big")

    def _settle(self, txn: Txn, digest: bytes) -> bool:
        # read once more: in the meantime it may have been mended, or collected
        stored = txn.get(digest, db=self._chunks)
        good = stored is None or content_hash(stored) == digest
        if stored is not None and good:
            txn.put(digest, len(stored).to_bytes(4, "big"), db=self._have)
        else:
            txn.delete(digest, db=self._have)
        return good

    def _is_outline(self, outlines: Table, blob: bytes) -> bool:
        with self._environment.read() as txn:
            stored = txn.get(blob, db=outlines)
            try:
                return stored is None or bool(read_outline(bytes(stored), blob))
            except RecordError:
                return False

    def _is_checked(self, table: Table, key: bytes, head: int) -> bool:
        """`head` bytes stand before the hash."""
        with self._environment.read() as txn:
            stored = txn.get(key, db=table)
            try:
                return stored is None or without_hash(stored[head:], "") is not None
            except StoreDamaged:
                return False


def model_states(models: Models, blobs: Blobs) -> Iterator[ModelState]:
    """The state of every model, from what reading and verifying found so far. Reads no chunk."""
    for model in models.ids():
        try:
            signed = models.get(model)
        except StoreDamaged:
            yield ModelState(model, None, (), 0, 0)
            continue
        if signed is None:
            continue  # removed meanwhile
        lacking, damaged, missing = [], 0, 0
        for file in decode(signed.body, Manifest).files:
            outline = blobs.outline(file.blob)
            gaps = [] if outline is None else blobs.missing(outline)
            if outline is None or gaps:
                lacking.append(file.blob)
                missing += len(gaps)
                damaged += sum(blobs.is_damaged(outline.chunk(i)) for i in gaps) if outline else 0
        yield ModelState(model, signed, tuple(lacking), damaged, missing)
