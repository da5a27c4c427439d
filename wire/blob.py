"""Files as verified chunks: the outline that names them, and the messages that move them.

A blob is cut into chunks of 256 KiB; its outline lists their hashes, and the outline's own hash is the blob's name.
So one 32-byte name lets a peer check every chunk on arrival, from any source, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Self

from msgspec import Meta

from .bounds import CHUNK, MAX_BLOB, MAX_MANIFEST, MAX_OUTLINE, Hash32, Signature65
from .canonical import Record, decode, encode
from .cid import content_hash
from .errors import RecordError


class Outline(Record):
    """A blob's size and its chunks' hashes, joined: chunk i is bytes 32·i to 32·i + 32."""

    size: Annotated[int, Meta(ge=0, le=MAX_BLOB)]
    chunk_size: Annotated[int, Meta(ge=CHUNK, le=CHUNK)]
    chunks: Annotated[bytes, Meta(max_length=MAX_OUTLINE)]

    @property
    def count(self) -> int:
        """How many chunks the blob has."""
        return len(self.chunks) // 32

    def chunk(self, index: int) -> bytes:
        """The hash of chunk `index`."""
        return self.chunks[32 * index : 32 * index + 32]

    def chunk_bytes(self, index: int) -> int:
        """The size of chunk `index`; all are `chunk_size` but the last."""
        return min(self.chunk_size, self.size - index * self.chunk_size)

    def check(self) -> None:
        """RecordError when size and number of chunks contradict each other."""
        if len(self.chunks) % 32 or self.count != -(-self.size // self.chunk_size):
            raise RecordError(f"Outline: {len(self.chunks)} bytes of hashes for {self.size} bytes of content")

    def hash(self) -> bytes:
        """The blob's name."""
        return content_hash(encode(self))


def outline_of(pieces: Iterable[bytes]) -> Outline:
    """The outline of content given as consecutive chunks, all `CHUNK` bytes but the last."""
    size, hashes = 0, bytearray()
    for piece in pieces:
        size += len(piece)
        hashes += content_hash(piece)
    outline = Outline(size=size, chunk_size=CHUNK, chunks=bytes(hashes))
    outline.check()
    return outline


def read_outline(data: bytes, name: bytes) -> Outline:
    """The outline that `name` names; RecordError when `data` is another, or breaks a rule."""
    if content_hash(data) != name:
        raise RecordError("Outline: its bytes do not match the hash it was asked by")
    outline = decode(data, Outline, limit=MAX_OUTLINE + 64)
    outline.check()
    return outline


class CheckedChunk(tuple[bytes, bytes]):
    """(hash, bytes) of a chunk that was hashed when this was made, so that nobody need do it again.

    RecordError when the bytes do not match the hash, or break a bound.
    """

    __slots__ = ()

    def __new__(cls, digest: bytes, data: bytes) -> Self:
        if not 0 < len(data) <= CHUNK:
            raise RecordError(f"chunk {digest.hex()}: {len(data)} bytes, the bounds are 1 and {CHUNK}")
        if content_hash(data) != digest:
            raise RecordError(f"chunk {digest.hex()}: its bytes do not match the hash")
        return super().__new__(cls, (digest, data))


MAX_CHUNKS_ASKED = 16  # 4 MiB: enough to keep a link busy, little enough to share it


class AskManifest(Record, tag="manifest", tag_field="type"):
    """Answered by a `ManifestReply`, or NOT_FOUND."""

    model: Hash32


class AskOutline(Record, tag="outline", tag_field="type"):
    """Answered by a `BlobReply`, then the encoded outline in DATA frames, or NOT_FOUND."""

    blob: Hash32


class AskChunks(Record, tag="chunks", tag_field="type"):
    """Answered by one DATA frame a chunk, in the order asked; NOT_FOUND in place of the first that is missing."""

    hashes: Annotated[tuple[Hash32, ...], Meta(min_length=1, max_length=MAX_CHUNKS_ASKED)]


class ManifestReply(Record):
    """A manifest's canonical bytes and its publisher's signature."""

    body: Annotated[bytes, Meta(max_length=MAX_MANIFEST)]
    signature: Signature65


class BlobReply(Record):
    """How many bytes of outline follow in DATA frames."""

    size: Annotated[int, Meta(ge=0, le=MAX_OUTLINE + 64)]


BlobRequest = AskManifest | AskOutline | AskChunks
