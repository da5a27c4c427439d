"""Blobs as chunks under their hashes: the same bytes are stored once, and nothing is served that was not checked.

`chunks` holds the bytes and `have` only their sizes, written in one transaction. What is missing is asked of `have`,
since LMDB's binding reads a whole value from disk to look it up. Hashing at 3 GB/s makes checking every read cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from wire.blob import CheckedChunk, Outline, read_outline
from wire.bounds import CHUNK, MAX_BLOB
from wire.canonical import encode
from wire.cid import content_hash
from wire.errors import RecordError

from . import bounds
from .environment import Environment
from .errors import StoreError, StoreFull
from .holds import Hold, Holds

if TYPE_CHECKING:
    from .environment import Table, Txn

Chunk = tuple[bytes, bytes]  # hash, bytes
Progress = Callable[[int], None]  # bytes done so far


@dataclass(frozen=True)
class BlobStatistics:
    """What the blobs come to. `chunk_bytes` counts whole pages, as they lie on disk."""

    outlines: int
    chunks: int
    chunk_bytes: int
    damaged: int  # in quarantine, or found since by reading


class Blobs:
    """The chunk store. Reads are short; what writes blocks until it is on disk, so it belongs in a worker thread."""

    def __init__(self, environment: Environment, holds: Holds, quota: int | None) -> None:
        self._environment, self._holds, self._quota = environment, holds, quota
        self._chunks = environment.table("chunks")
        self._have = environment.table("have")
        self._outlines = environment.table("outlines")
        # Found by reading, mended by `put_chunks`. Kept in memory only: after a restart the next read finds it again.
        self._damaged: set[bytes] = set()

    def add(self, source: Path | BinaryIO, progress: Progress | None = None, hold: Hold | None = None) -> Outline:
        """Store a file or a binary stream, and return its outline; its hash is the blob's name. Blocks.

        Interrupted, it leaves chunks behind that the next attempt finds. `hold` keeps the blob from being collected
        until a manifest names it. StoreError beyond 32 GiB.
        """
        if isinstance(source, Path):
            with source.open("rb") as stream:
                return self.add(stream, progress, hold)
        own = self._holds.hold()
        try:
            return self._add(source, progress, own if hold is None else hold)
        finally:
            own.release()

    def _add(self, source: BinaryIO, progress: Progress | None, hold: Hold) -> Outline:
        hashes, size = bytearray(), 0
        batch: list[Chunk] = []
        for piece in _pieces(source):
            size += len(piece)
            if size > MAX_BLOB:
                raise StoreError(f"The file is larger than {MAX_BLOB >> 30} GiB, the most one file can have. Split it.")
            batch.append((content_hash(piece), piece))
            hashes += batch[-1][0]
            hold.take(batch[-1][:1])
            if len(batch) == bounds.BATCH:
                self._store(batch)
                batch = []
                if progress is not None:
                    progress(size)
        outline = Outline(size=size, chunk_size=CHUNK, chunks=bytes(hashes))
        hold.take([outline.hash()])
        self._store(batch, outline)
        if progress is not None:
            progress(size)
        return outline

    def put_outline(self, outline: Outline) -> None:
        """Keep what names a blob's chunks; they may come later. RecordError when it contradicts itself. Blocks."""
        read_outline(encode(outline), outline.hash())  # a struct made in code has not been through its bounds
        self._store((), outline)

    def put_chunks(self, chunks: Sequence[Chunk]) -> None:
        """Keep chunks given as (hash, bytes), all of them or none. Blocks until they are on disk.

        RecordError when one does not match its hash or its bound; ValueError beyond `MAX_BATCH`.
        """
        if len(chunks) > bounds.MAX_BATCH:
            raise ValueError(f"{len(chunks)} chunks in one batch, the bound is {bounds.MAX_BATCH}")
        self._store([chunk if isinstance(chunk, CheckedChunk) else CheckedChunk(*chunk) for chunk in chunks])

    def hold(self, blobs: Iterable[bytes]) -> Hold:
        """Keep these blobs from being collected, here or not yet, until the hold is released. Blocks for a write."""
        made = self._holds.hold(blobs)
        self._environment.barrier()
        return made

    def outline(self, blob: bytes) -> Outline | None:
        """The blob's outline, checked; None when it is not here, or damaged (then it can be put again)."""
        with self._environment.read() as txn:
            stored = _get(txn, blob, self._outlines)
        try:
            return None if stored is None else read_outline(stored, blob)
        except RecordError:
            return None

    def chunk(self, digest: bytes) -> bytes | None:
        """The chunk's bytes, checked; None when it is not here. A damaged one is noted, and is missing from then on."""
        with self._environment.read() as txn:
            stored = _get(txn, digest, self._chunks)
            quarantined = stored is not None and txn.get(digest, db=self._have) is None
        if stored is None or content_hash(stored) == digest:
            self._damaged.discard(digest)
            return stored
        if not quarantined:
            self._damaged.add(digest)
        return None

    def missing(self, outline: Outline) -> list[int]:
        """The indexes of the outline's chunks that are not here, known to be damaged, or not of the outline's size."""
        with self._environment.read() as txn:
            return [i for i in range(outline.count) if not self._has(txn, outline.chunk(i), outline.chunk_bytes(i))]

    def complete(self, blob: bytes) -> bool:
        """Whether the outline and every chunk of the blob are here."""
        outline = self.outline(blob)
        return outline is not None and not self.missing(outline)

    def is_quarantined(self, digest: bytes) -> bool:
        """Whether the chunk's bytes are here and known, on disk, to be wrong."""
        with self._environment.read() as txn:
            return txn.get(digest, db=self._have) is None and txn.get(digest, db=self._chunks) is not None

    def is_damaged(self, digest: bytes) -> bool:
        """Whether the chunk is in quarantine, or was found damaged since."""
        return digest in self._damaged or self.is_quarantined(digest)

    def forget_damage(self, digests: Iterable[bytes]) -> None:
        """Reading found these damaged; what is so now is known on disk."""
        self._damaged.difference_update(digests)

    def statistics(self) -> BlobStatistics:
        """Counts and sizes."""
        with self._environment.read() as txn:
            outlines, chunks, have = (txn.stat(t)["entries"] for t in (self._outlines, self._chunks, self._have))
            return BlobStatistics(outlines, chunks, self._pages(txn), len(self._damaged) + chunks - have)

    def _pages(self, txn: Txn) -> int:
        """Bytes of all chunks as they lie on disk, in whole pages; the quota is on these."""
        chunks = txn.stat(self._chunks)
        pages: int = chunks["overflow_pages"] + chunks["leaf_pages"] + chunks["branch_pages"]
        return pages * int(chunks["psize"])

    def _has(self, txn: Txn, digest: bytes, size: int) -> bool:
        known = txn.get(digest, db=self._have)
        return known is not None and int.from_bytes(known, "big") == size and digest not in self._damaged

    def _store(self, chunks: Sequence[Chunk], outline: Outline | None = None) -> None:
        def work(txn: Txn) -> None:
            before = self._pages(txn)
            self._holds.arrive(digest for digest, _ in chunks)
            for digest, data in chunks:
                new = txn.put(digest, data, db=self._chunks, overwrite=False)
                # compared, not assumed: this is how a damaged chunk is mended
                if not new and _get(txn, digest, self._chunks) != data:
                    txn.put(digest, data, db=self._chunks)
                txn.put(digest, len(data).to_bytes(4, "big"), db=self._have)
            if outline is not None:
                self._holds.arrive([outline.hash(), *map(outline.chunk, range(outline.count))])
                txn.put(outline.hash(), encode(outline), db=self._outlines)
            if self._quota is not None and before < (after := self._pages(txn)) > self._quota:
                raise StoreFull(
                    f"The store would take {after} bytes, and its quota is {self._quota}. Nothing was lost. Remove "
                    "models (hallmark model rm MODEL) and collect what they leave (hallmark store gc), or raise the "
                    "setting `quota`."
                )

        self._environment.write(work)
        self._damaged.difference_update(digest for digest, _ in chunks)


def _get(txn: Txn, key: bytes, table: Table) -> bytes | None:
    view = txn.get(key, db=table) if key else None  # LMDB refuses an empty key
    return None if view is None else bytes(view)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """The stream in chunks, all full but the last, however short its reads are."""
    while True:
        piece = stream.read(CHUNK)
        while piece and len(piece) < CHUNK and (more := stream.read(CHUNK - len(piece))):
            piece += more
        if not piece:
            return
        yield piece
