"""Fair turns among those who fetch from us: who asked with many streams gets no more than who asked with one.

A turn is one chunk, from its reading to the last byte that the muxer takes, so turns bound the memory as well. Between
two of them everything else gets its say: an answer or a vote waits for one chunk, never for a model. While an answer
is in hand, turns come one by one and rarely. `Budget` and `Turns` are machines without I/O.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from .. import bounds


class Budget:
    """A token bucket of bytes: at most `rate` a second, over all peers together. None is no bound.

    What is spent may overdraw it, by what one turn sends; nothing more is allowed until that is paid back.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._most = self._left = max(bounds.PIECE, (rate or 0) * bounds.UPLOAD_BURST)
        self._then: float | None = None

    def spend(self, size: int) -> None:
        """So many bytes are sent; fewer than none gives some back."""
        if self._rate is not None:
            self._left = min(self._most, self._left - size)

    def wait(self, now: float) -> float:
        """Seconds until a piece may be sent; 0 when it may be now."""
        if self._rate is None:
            return 0.0
        since, self._then = now - (now if self._then is None else self._then), now
        self._left = min(self._most, self._left + since * self._rate)
        return max(0.0, (bounds.PIECE - self._left) / self._rate)


class Turns:
    """Who may send a chunk now: round robin over peers, a bounded number at once. `rate` is in bytes a second."""

    def __init__(self, rate: float | None = None) -> None:
        self.budget = Budget(rate)
        self.answers = 0  # in hand, to which uploads give way
        self._waiting: OrderedDict[str, deque[int]] = OrderedDict()  # the peer whose turn is next comes first
        self._open: Counter[str] = Counter()
        self._tickets = 0
        self._began = float("-inf")  # when the last turn did

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
        while self._may_begin(now):
            peer = next((p for p in self._waiting if self._open[p] < bounds.UPLOADS_PER_PEER), None)
            if peer is None:
                break
            begun.append(self._waiting[peer].popleft())
            self._waiting.move_to_end(peer)
            if not self._waiting[peer]:
                del self._waiting[peer]
            self._open[peer] += 1
            self._began = now
            self.budget.spend(bounds.PIECE)
        return begun

    def end(self, peer: str) -> None:
        """One of the peer's turns is over."""
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]

    def wait(self, now: float) -> float | None:
        """Seconds until somebody may begin, if nothing happens before; None when only an end lets anybody."""
        if not self._waiting or self._open.total() >= self._at_once:
            return None
        return max(self.budget.wait(now), self._rest(now)) or None

    @property
    def _at_once(self) -> int:
        return 1 if self.answers else bounds.UPLOADS

    def _rest(self, now: float) -> float:
        return max(0.0, self._began + bounds.UPLOAD_REST - now) if self.answers else 0.0

    def _may_begin(self, now: float) -> bool:
        return self._open.total() < self._at_once and not self._rest(now) and not self.budget.wait(now)


class Uploads:
    """The turns of everybody that fetches from this peer.

    `rate`: bytes a second over all of them, None for no bound. `first`: protocols to whose exchanges they give way.
    """

    def __init__(self, rate: float | None = None, first: Collection[str] = ()) -> None:
        self._turns, self._first = Turns(rate), frozenset(first)
        self._begun: dict[int, trio.Event] = {}

    @contextmanager
    def beside(self, protocol: str) -> Iterator[None]:
        """An exchange of `protocol` is in hand for the length of the block, whoever began it."""
        answers = protocol in self._first
        self._turns.answers += answers
        try:
            yield
        finally:
            self._turns.answers -= answers
            self._begin()

    @asynccontextmanager
    async def turn(self, peer: str) -> AsyncIterator[Callable[[int], None]]:
        """Wait for a turn of `peer`'s; it lasts for the block. Tell what comes out how many bytes it sends."""
        ticket = self._turns.ask(peer)
        begun = self._begun[ticket] = trio.Event()
        try:
            self._begin()
            while not begun.is_set():
                with trio.move_on_after(self._turns.wait(trio.current_time()) or float("inf")):
                    await begun.wait()
                self._begin()
            yield lambda size: self._turns.budget.spend(size - bounds.PIECE)
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
