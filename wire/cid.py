"""Names of content: BLAKE3-256, shown to people as CIDv1 in lower-case base32.

A chunk's name is the hash of its bytes (codec `raw`). A blob's name is the hash of its outline, a model's the hash of
its manifest; both are MessagePack records, and the codec says so.
Sources: multiformats CIDv1, the multicodec table (raw 0x55, messagepack 0x0201, blake3 0x1e).
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from functools import lru_cache

from blake3 import blake3

from .errors import RecordError

RAW = b"\x01\x55"  # CIDv1, raw
RECORD = b"\x01\x81\x04"  # CIDv1, messagepack (0x0201 as a varint)
_BLAKE3_256 = b"\x1e\x20"  # multihash: blake3, 32 bytes
_LARGE = 1 << 20  # bytes; below that threads cost what they gain


def content_hash(data: bytes | bytearray | memoryview) -> bytes:
    """BLAKE3-256 of `data`, 32 bytes; what is large is shared out to all cores."""
    return blake3(data, max_threads=blake3.AUTO if len(data) >= _LARGE else 1).digest()


@lru_cache(4096)  # the same few models are named again and again
def to_cid(digest: bytes, prefix: bytes = RECORD) -> str:
    """The CIDv1 of a 32-byte BLAKE3 hash, as text beginning with `b`."""
    return "b" + b32encode(prefix + _BLAKE3_256 + digest).decode().rstrip("=").lower()


def from_cid(text: str) -> bytes:
    """The 32-byte hash inside a CID made by `to_cid`; RecordError when `text` is none."""
    body = text.strip()
    padded = body[1:].upper() + "=" * (-len(body[1:]) % 8)
    try:
        raw = b32decode(padded)
    except ValueError as error:
        raise RecordError(f"{text!r} is not a CID (base32 after a leading 'b')") from error
    for prefix in (RECORD, RAW):
        head = prefix + _BLAKE3_256
        digest = raw[len(head) :]
        if raw.startswith(head) and len(digest) == 32 and to_cid(digest, prefix) == body:  # one text for one name
            return digest
    raise RecordError(f"{text!r} is not a CIDv1 of a BLAKE3-256 hash")
