"""The bytes of tensors that this peer holds for others: bounded for each and for all, from when they are announced.

What one request may bring is bounded by `wire`; many at once, over many streams, would still fill a machine's memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from wire.errors import ErrorCode, RemoteError
from wire.tensors import TensorHeader

from .bounds import MAX_HELD, MAX_HELD_PER_PEER, REST_MS


class Held:
    """What is held now, by peer."""

    def __init__(self) -> None:
        self._bytes: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """Bytes, of all peers."""
        return self._bytes.total()

    @contextmanager
    def inputs(self, peer_id: str, headers: Sequence[TensorHeader]) -> Iterator[None]:
        """The tensors that a peer announces count as held while the block lasts; RemoteError (OVERLOADED) where they
        are too much beside what is held already."""
        size = sum(header.binary_data_size for header in headers)
        if self._bytes[peer_id] + size > MAX_HELD_PER_PEER:
            text = f"your requests in hand here take {self._bytes[peer_id]} bytes already: wait for one to end"
            raise RemoteError(ErrorCode.OVERLOADED, text, after_ms=REST_MS)
        if self.total + size > MAX_HELD:
            text = f"the requests in hand here take {self.total} bytes already: try later or elsewhere"
            raise RemoteError(ErrorCode.OVERLOADED, text, after_ms=REST_MS)
        self._bytes[peer_id] += size
        try:
            yield
        finally:
            self._bytes[peer_id] -= size
            if not self._bytes[peer_id]:
                del self._bytes[peer_id]
