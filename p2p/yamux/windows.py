"""One yamux stream without I/O: what the peer may still send, what we may still send, and who has ended what.

The receive window is a promise of memory. It is enforced, it is given back as the reader reads, and it grows only
while the reader keeps up with a link that is faster than the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .. import bounds
from .frames import ProtocolError

FIRST_WINDOW = 256 * 1024  # of every stream, both ways, by the specification
_LARGEST = 2**32 - 1
_SMALL = 4 * 1024  # pieces up to this are gathered: thousands of tiny ones must not weigh more than their window
_GATHERED = 16 * 1024


class Budget:
    """How far all the windows of one connection may still grow together, and what stands unread in them."""

    def __init__(self, size: int = bounds.WINDOW_GROWTH) -> None:
        self.left, self.unread = size, 0


class Inbox:
    """Bytes received and not yet read, and the credit that the peer has."""

    def __init__(self, budget: Budget) -> None:
        self._chunks: deque[bytearray | memoryview] = deque()
        self._budget, self._epoch = budget, float("-inf")
        self.size, self.credit, self.window = 0, FIRST_WINDOW, FIRST_WINDOW
        self.most = bounds.WINDOW  # that the window grows to

    def charge(self, length: int) -> None:
        """A frame of `length` bytes is coming. ProtocolError when the peer has no credit for it."""
        if length > self.credit:
            raise ProtocolError(f"{length} bytes of data where the window has room for {self.credit}")
        self.credit -= length

    def add(self, data: memoryview) -> None:
        """Some of what was charged has come."""
        self.size += len(data)
        self._budget.unread += len(data)
        if len(data) > _SMALL:
            self._chunks.append(memoryview(bytes(data)))
            return
        last = self._chunks[-1] if self._chunks else None
        if isinstance(last, bytearray) and len(last) < _GATHERED:
            last += data
        else:
            self._chunks.append(bytearray(data))

    def take(self, limit: int) -> bytes:
        """One to `limit` bytes, in order, or nothing when there is nothing."""
        if not self._chunks or limit <= 0:
            return b""
        first = self._chunks[0]
        if len(first) > limit:
            data = bytes(first[:limit])
            self._chunks[0] = memoryview(bytes(first))[limit:] if isinstance(first, bytearray) else first[limit:]
        elif len(self._chunks) == 1 or 2 * len(first) >= limit:
            data = _whole(self._chunks.popleft())
        else:  # many small ones are better read together
            parts = [self._chunks.popleft()]
            room = limit - len(first)
            while self._chunks and len(self._chunks[0]) <= room:
                room -= len(self._chunks[0])
                parts.append(self._chunks.popleft())
            data = b"".join(parts)
        self.size -= len(data)
        self._budget.unread -= len(data)
        return data

    def grant(self, now: float, rtt: float) -> int:
        """Bytes to announce to the peer after a read: nothing until half the window is free.

        A window used up within a few round trips may be what holds the sender back, so it doubles (as in go-yamux).
        """
        room = self.window - self.credit - self.size
        if room < self.window // 2:
            return 0
        if now - self._epoch < 4 * rtt and 2 * self.window <= self.most and self.window <= self._budget.left:
            self._budget.left -= self.window
            room += self.window
            self.window *= 2
        self._epoch = now
        self.credit += room
        return room

    def close(self) -> None:
        """Nothing more comes: what the window grew by is free for others, and what is unread is its reader's alone."""
        self._budget.left += self.window - FIRST_WINDOW
        self._budget.unread -= self.size
        self.window, self._budget = FIRST_WINDOW, Budget(0)

    def clear(self) -> None:
        """Forget what was not read."""
        self._chunks.clear()
        self._budget.unread -= self.size
        self.size = 0


class Flow:
    """The state of one stream. Compared by identity."""

    def __init__(self, number: int, ours: bool, budget: Budget) -> None:
        self.number, self.ours = number, ours
        self.inbox = Inbox(budget)
        self.credit = FIRST_WINDOW  # bytes that we may send
        self.acknowledged = False  # whether the side that did not open it has taken it
        self.ended_in = self.ended_out = False  # FIN came, FIN was sent
        self.reset = False  # by either side, or with the connection
        self.quiet_since = 0.0  # when a stream that we ended last heard of its peer
        self.readers = 0  # tasks that wait for bytes
        self.wake: Callable[[], object] = _nobody  # called when something above may have changed

    @property
    def over(self) -> bool:
        """Whether no frame of this stream can follow."""
        return self.reset or (self.ended_in and self.ended_out)

    @property
    def resting(self) -> bool:
        """Whether both directions are open and nothing unread has come."""
        return not (self.reset or self.ended_in or self.ended_out or self.inbox.size)

    def widen(self, length: int) -> None:
        """The peer allows `length` bytes more. ProtocolError when that is more than its counter can hold."""
        self.credit += length
        if self.credit > _LARGEST:
            raise ProtocolError("a send window of more than 32 bits")

    def spend(self, wanted: int) -> int:
        """How many of `wanted` bytes one frame may carry now; they count as sent."""
        size = min(wanted, self.credit, bounds.YAMUX_FRAME)
        self.credit -= size
        return size

    def cut(self) -> None:
        """Both directions end. What came whole, up to the peer's FIN, can still be read."""
        self.reset = True
        if not self.ended_in:
            self.inbox.clear()


def _whole(chunk: bytearray | memoryview) -> bytes:
    # A memoryview that still shows all of the bytes it was made of gives them back without a copy.
    if isinstance(chunk, memoryview) and isinstance(chunk.obj, bytes) and len(chunk) == len(chunk.obj):
        return chunk.obj
    return bytes(chunk)


def _nobody() -> None:
    """Nobody waits."""
