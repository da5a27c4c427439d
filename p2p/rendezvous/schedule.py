"""When to look for peers in the public network, and when to say there where this one is. A machine without I/O."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from random import Random

from .. import bounds


class Errand(Enum):
    """What to go for. To say where one is takes the same walk as to look, so the second holds the first."""

    LOOK = "look"
    PROVIDE = "provide"


class Schedule:
    """Looks often while few peers are known, provides before the word lapses, and rests where nobody answers."""

    def __init__(self, random: Random) -> None:
        self._random = random
        never = float("-inf")
        self._rest_until = self._looked = self._told_at = never
        self._soon = self._later = self._again = 0.0  # pauses, a little different each time
        self._told: frozenset[str] = frozenset()  # the addresses that were said last
        self._failures = 0

    def due(self, now: float, known: int, addresses: Collection[str]) -> Errand | None:
        """What to go for now. `known`: peers connected; `addresses`: ours that others there can dial."""
        if now < self._rest_until:
            return None
        if addresses:
            # Addresses change in groups, as when one relay after the other is found.
            pause = self._again if frozenset(addresses) == self._told else bounds.RENDEZVOUS_MOVED
            if now >= self._told_at + pause:
                return Errand.PROVIDE
        pause = self._soon if known < bounds.RENDEZVOUS_FEW else self._later
        return Errand.LOOK if now >= self._looked + pause else None

    def went(self, now: float, errand: Errand, answered: int, taken: int, addresses: Collection[str]) -> None:
        """An errand is over: so many peers of the public network answered, and so many took `addresses`."""
        if answered:
            self._looked = now
            self._soon, self._later = self._about(bounds.RENDEZVOUS_SOON), self._about(bounds.RENDEZVOUS_LATER)
        if not answered or (errand is Errand.PROVIDE and not taken):
            pause = min(bounds.RENDEZVOUS_RETRY * 2.0 ** min(self._failures, 16), bounds.RENDEZVOUS_RETRY_MOST)
            self._rest_until = now + self._about(pause)
            self._failures += 1
            return
        self._failures = 0
        if errand is Errand.PROVIDE:
            self._told, self._told_at = frozenset(addresses), now
            self._again = self._about(bounds.RENDEZVOUS_PROVIDE)

    def _about(self, seconds: float) -> float:
        return seconds * self._random.uniform(0.9, 1.1)
