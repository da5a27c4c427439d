"""Who waits for a model and who is next: first come, first served, never more than the bound, never after a deadline.

A machine without I/O: the time comes in as an argument, in seconds of any clock.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from .errors import EngineBusy


class Ticket(Protocol):
    """One request that waits."""

    deadline: float


T = TypeVar("T", bound=Ticket)


class Admission(Generic[T]):
    """The bounded queue before one worker."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._waiting: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, ticket: T) -> None:
        """Queue it; EngineBusy, and nothing changed, when the queue is full."""
        if len(self._waiting) >= self._bound:
            raise EngineBusy(f"{self._bound} requests wait for this model already; try again later, or elsewhere")
        self._waiting.append(ticket)

    def drop(self, ticket: T) -> None:
        """Its caller no longer waits; nothing happens when it is not queued."""
        self._waiting = deque(t for t in self._waiting if t is not ticket)

    def take(self, now: float) -> T | None:
        """The next whose deadline has not passed; those before it whose deadline has are dropped unexecuted."""
        while self._waiting:
            ticket = self._waiting.popleft()
            if ticket.deadline > now:
                return ticket
        return None

    def clear(self) -> list[T]:
        """Empty it; what waited."""
        waited = list(self._waiting)
        self._waiting.clear()
        return waited
