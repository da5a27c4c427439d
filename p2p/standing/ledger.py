"""What the bytes of strangers take here, all connections together.

Windows bound what one connection may leave unread, and far more connections may stand than there is memory for at
that. So what all of them hold is added up: what came and was not read, and what we said and the peer does not take.
Over the bound, whoever holds most gives some of it up first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from .. import bounds


class Holder(Protocol):
    """A connection."""

    def weight(self) -> int:
        """Bytes that it holds."""

    def shed(self) -> None:
        """Give up the largest part of them: a stream, or the connection."""


class Ledger:
    """The holders, and what each of them held when it last said so."""

    def __init__(self) -> None:
        self.shed = 0  # how often something was given up, since the start
        self.turn = trio.Lock()  # of those who sent very many frames: one of them at a time
        self.flooded: Callable[[str, float], object] = lambda *_: None  # a peer's empty frames; seconds' worth too many
        self._held: dict[Holder, int] = {}
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes held, as far as it was said: never less than what is unread."""
        return self._total

    def weigh(self, holder: Holder, weight: int) -> None:
        """The holder has grown to this; one that shrinks need not say so. Those who hold most may be asked to shed."""
        self._set(holder, weight)
        if self._total > bounds.HELD:
            for each in tuple(self._held):
                self._set(each, each.weight())
        while self._total > bounds.HELD:
            heaviest = max(self._held, key=lambda each: self._held[each])
            before = self._held[heaviest]
            heaviest.shed()
            self.shed += 1
            if heaviest in self._held:  # it is not when it ended
                self._set(heaviest, min(heaviest.weight(), before - 1))

    def forget(self, holder: Holder) -> None:
        """The connection is over."""
        self._total -= self._held.pop(holder, 0)

    def _set(self, holder: Holder, weight: int) -> None:
        self._total += weight - self._held.get(holder, 0)
        self._held[holder] = weight
