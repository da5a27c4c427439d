"""Who waits for a model and who is next: first come, first served, never more than the bound, never after a deadline.

Whoever is next takes along those who ask alike, as many as fit: nobody waits for company, but who waits anyway is
executed together. A machine without I/O: the time comes in as an argument, in seconds of any clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from .errors import EngineBusy


class Ticket(Protocol):
    """One request that waits: until when, with whom it may be executed (equal ones; None: nobody), what it adds."""

    @property
    def deadline(self) -> float: ...
    @property
    def alike(self) -> object: ...
    @property
    def rows(self) -> int: ...
    @property
    def size(self) -> int: ...  # bytes


T = TypeVar("T", bound=Ticket)


class Admission(Generic[T]):
    """The bounded queue before one worker; `most_rows` and `most_bytes` are for one execution."""

    def __init__(self, bound: int, most_rows: int, most_bytes: int) -> None:
        self._bound, self._most_rows, self._most_bytes = bound, most_rows, most_bytes
        self._waiting: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def check_room(self) -> None:
        """EngineBusy when the queue is full."""
        if len(self._waiting) >= self._bound:
            raise EngineBusy(f"{self._bound} requests wait for this model already; try again later, or elsewhere")

    def add(self, ticket: T) -> None:
        """Queue it; EngineBusy, and nothing changed, when the queue is full."""
        self.check_room()
        self._waiting.append(ticket)

    def put_back(self, tickets: Iterable[T]) -> None:
        """These were taken and not executed: they are next, in their order, bound or no bound."""
        self._waiting.extendleft(reversed(list(tickets)))

    def drop(self, ticket: T) -> None:
        """Its caller no longer waits; nothing happens when it is not queued."""
        self._waiting = deque(t for t in self._waiting if t is not ticket)

    def take(self, now: float) -> list[T]:
        """The next whose deadline has not passed, and those alike who fit beside it; empty when nobody waits.

        Whose deadline has passed is dropped unexecuted. The others keep their order.
        """
        self._waiting = deque(ticket for ticket in self._waiting if ticket.deadline > now)
        if not self._waiting:
            return []
        first = self._waiting.popleft()
        taken, left = [first], deque[T]()
        rows, size = first.rows, first.size
        for ticket in self._waiting:
            fits = rows + ticket.rows <= self._most_rows and size + ticket.size <= self._most_bytes
            if first.alike is not None and ticket.alike == first.alike and fits:
                taken.append(ticket)
                rows, size = rows + ticket.rows, size + ticket.size
            else:
                left.append(ticket)
        self._waiting = left
        return taken

    def clear(self) -> list[T]:
        """Empty it; what waited."""
        waited = list(self._waiting)
        self._waiting.clear()
        return waited
