"""What waits for a neighbour to take it, within a bound: what matters least is dropped first. A machine without I/O.

Control goes before messages and messages before offers of ids, of which the peer loses nothing that it cannot ask for
again. Subscriptions, GRAFTs and PRUNEs are never dropped: a peer that does not even take those is not kept.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from .. import bounds


class Urgency(IntEnum):
    """In the order of sending."""

    CONTROL = 0
    MESSAGE = 1
    OFFER = 2


class Outbox:
    """Frames for one neighbour."""

    def __init__(self) -> None:
        self._queues: tuple[deque[bytes], ...] = tuple(deque() for _ in Urgency)
        self.size = 0
        self.dropped = 0

    def put(self, frame: bytes, urgency: Urgency) -> bool:
        """Queue a frame; False when there is no room for it beside what cannot be dropped: the peer reads nothing."""
        self._queues[urgency].append(frame)
        self.size += len(frame)
        while self.size > bounds.OUTBOX:
            self.dropped += 1
            worst = next((q for q in reversed(self._queues[Urgency.MESSAGE :]) if q), None)
            if worst is None:
                self.size -= len(self._queues[urgency].pop())
                return False
            self.size -= len(worst.popleft())
        return True

    def take(self, most: int) -> bytes:
        """The next frames together, about `most` bytes; empty when nothing waits."""
        found, size = [], 0
        for queue in self._queues:
            while queue and size < most:
                frame = queue.popleft()
                found.append(frame)
                size += len(frame)
        self.size -= size
        return b"".join(found)

    def clear(self) -> None:
        """Nothing of it will be sent."""
        for queue in self._queues:
            queue.clear()
        self.size = 0
