"""What this process is working on, so that collecting garbage leaves it alone.

*Held* is what somebody uses: a blob being fetched or published, a loaded model's. *Arrived* is what was written since
the collection under way began. Both notes are ordered with its transactions: whoever notes something either comes
before it is deleted, or sees that it is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from .errors import StoreError


class Hold:
    """Blobs and chunks, by their hashes, that stay until `release`."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds
        self._hashes: set[bytes] = set()

    def take(self, hashes: Iterable[bytes]) -> None:
        """Hold these too. From any thread."""
        self._hashes.update(hashes)

    def release(self) -> None:
        """Let go of everything; a second time does nothing."""
        self._holds.drop(self)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._hashes


class Holds:
    """All holds of one store, and what arrived during a collection."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._open: tuple[Hold, ...] = ()  # replaced and never changed, since the collector reads it in a thread
        self._arrived: set[bytes] | None = None

    def hold(self, hashes: Iterable[bytes] = ()) -> Hold:
        """A new hold. A collection may be deleting right now: pass a write transaction before relying on it."""
        made = Hold(self)
        made.take(hashes)
        with self._changing:
            self._open = (*self._open, made)
        return made

    def drop(self, hold: Hold) -> None:
        """See `Hold.release`."""
        with self._changing:
            self._open = tuple(other for other in self._open if other is not hold)

    def arrive(self, hashes: Iterable[bytes]) -> None:
        """Note what is being written. Call it inside the write transaction, or a collection may begin in between."""
        if self._arrived is not None:
            self._arrived.update(hashes)

    def covers(self, digest: bytes) -> bool:
        """Whether a collection must leave this blob or chunk alone."""
        return (self._arrived is not None and digest in self._arrived) or any(digest in hold for hold in self._open)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Note arrivals while this lasts; StoreError when a collection is under way already."""
        with self._changing:
            if self._arrived is not None:
                raise StoreError("The store is being collected already. Wait until that has ended.")
            self._arrived = set()
        try:
            yield
        finally:
            self._arrived = None
