"""Fair turns among those who fetch from us: who asked with many streams gets no more than who asked with one.

A turn is one chunk, from its reading to the last byte that the muxer takes, so turns bound the memory as well. Between
two of them everything else gets its say: an answer or a vote waits for one chunk, never for a model. `Turns` is a
machine without I/O.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from . import bounds


class Turns:
    """Who may send a chunk now: round robin over peers, a bounded number at once. `rate` is in bytes a second."""

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._waiting: OrderedDict[str, deque[int]] = OrderedDict()  # the peer whose turn is next comes first
        self._open: Counter[str] = Counter()
        self._tickets = 0
        self._free_at = 0.0  # when the rate allows the next turn

    def ask(self, peer: str) -> int:
        """A ticket for one turn."""
        self._tickets += 1
        self._waiting.setdefault(peer, deque()).append(self._tickets)
        return self._tickets

    def withdraw(self, peer: str, ticket: int) -> None:
        """The ticket is no longer wanted; it has not begun."""
        self._waiting[peer].remove(ticket)
        if not self._waiting[peer]:
            del self._waiting[peer]

    def begin(self, now: float) -> list[int]:
        """The tickets whose turn begins now."""
        begun = []
        while now >= self._free_at and self._open.total() < bounds.UPLOADS:
            peer = next((p for p in self._waiting if self._open[p] < bounds.UPLOADS_PER_PEER), None)
            if peer is None:
                break
            begun.append(self._waiting[peer].popleft())
            self._waiting.move_to_end(peer)
            if not self._waiting[peer]:
                del self._waiting[peer]
            self._open[peer] += 1
            if self._rate is not None:
                self._free_at = max(now, self._free_at) + bounds.PIECE / self._rate
        return begun

    def end(self, peer: str) -> None:
        """One of the peer's turns is over."""
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]

    def wait(self, now: float) -> float | None:
        """Seconds until the rate lets somebody begin; None when it holds nobody up."""
        return self._free_at - now if self._waiting and self._free_at > now else None


class Uploads:
    """The turns of everybody that fetches from this peer."""

    def __init__(self, rate: float | None = None) -> None:
        self._turns = Turns(rate)
        self._begun: dict[int, trio.Event] = {}

    @asynccontextmanager
    async def turn(self, peer: str) -> AsyncIterator[None]:
        """Wait for a turn of `peer`'s; it lasts for the block."""
        ticket = self._turns.ask(peer)
        begun = self._begun[ticket] = trio.Event()
        try:
            self._begin()
            while not begun.is_set():
                with trio.move_on_after(self._turns.wait(trio.current_time()) or float("inf")):
                    await begun.wait()
                self._begin()
            yield
        finally:
            del self._begun[ticket]
            if begun.is_set():
                self._turns.end(peer)
            else:
                self._turns.withdraw(peer, ticket)
            self._begin()

    def _begin(self) -> None:
        for ticket in self._turns.begin(trio.current_time()):
            self._begun[ticket].set()
