"""A store in memory that checks what it is given."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from wire.blob import Outline
from wire.cid import content_hash
from wire.manifest import SignedManifest


class MemoryStore:
    """As a peer's own serves and takes blobs. `puts` has how many bytes came each time."""

    def __init__(self) -> None:
        self.outlines: dict[bytes, Outline] = {}
        self.chunks: dict[bytes, bytes] = {}
        self.manifests: dict[bytes, SignedManifest] = {}
        self.puts: list[int] = []

    def manifest(self, model: bytes) -> SignedManifest | None:
        return self.manifests.get(model)

    def outline(self, blob: bytes) -> Outline | None:
        return self.outlines.get(blob)

    def chunk(self, digest: bytes) -> bytes | None:
        return self.chunks.get(digest)

    def missing(self, outline: Outline) -> list[int]:
        return [i for i in range(outline.count) if outline.chunk(i) not in self.chunks]

    async def put_outline(self, outline: Outline) -> None:
        await trio.lowlevel.checkpoint()
        self.outlines[outline.hash()] = outline

    async def put_chunks(self, chunks: Sequence[tuple[bytes, bytes]]) -> None:
        await trio.lowlevel.checkpoint()
        for digest, data in chunks:
            assert content_hash(data) == digest
            self.chunks[digest] = data
        self.puts.append(sum(len(data) for _, data in chunks))
