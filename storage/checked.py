"""Small values with their hash in front, so that a flipped bit on disk is found when they are read."""

from __future__ import annotations

from wire.cid import content_hash

from .errors import StoreDamaged


def with_hash(data: bytes) -> bytes:
    """`data` as it is stored: 32 bytes of BLAKE3, then itself."""
    return content_hash(data) + data


def without_hash(stored: memoryview, what: str) -> bytes:
    """The data in `stored`, checked; StoreDamaged names `what` is damaged."""
    data = bytes(stored[32:])
    if content_hash(data) != bytes(stored[:32]):
        raise StoreDamaged(f"{what} is damaged on disk: its bytes do not match their hash. Fetch or make it again.")
    return data
