"""Who is connected, from where, and whether it is of any use here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .ranges import Ranges


@dataclass(eq=False, slots=True)
class Guest:
    """A connection that stands. Compared by identity."""

    key: Hashable  # the caller's name for it
    peer: str
    range: str | None
    wide: str | None
    outbound: bool  # whether we dialled it
    since: float
    used: float = field(init=False)  # when an exchange over it last ended, either way

    def __post_init__(self) -> None:
        self.used = self.since


class Guests:
    """The connections that stand, counted by all that a limit may look at."""

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self.inbound = 0
        self.by_range: Counter[str] = Counter()  # of inbound ones
        self.by_wide: Counter[str] = Counter()  # of all
        self._all: dict[Hashable, Guest] = {}
        self._of: dict[str, list[Guest]] = {}
        self._busy: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Guest]:
        return iter(self._all.values())

    def has(self, key: Hashable) -> bool:
        """Whether this one stands."""
        return key in self._all

    def of(self, peer: str) -> list[Guest]:
        """The peer's connections, the oldest first."""
        return self._of.get(peer, [])

    def where(self, peer: str) -> str | None:
        """The range that the peer is connected from; None for one that has none, or is not here."""
        return next((guest.range for guest in self.of(peer) if guest.range is not None), None)

    def where_wide(self, peer: str) -> str | None:
        """As `where`, the wide range."""
        return next((guest.wide for guest in self.of(peer) if guest.wide is not None), None)

    def add(self, guest: Guest) -> None:
        """A connection stands."""
        self._all[guest.key] = guest
        self._of.setdefault(guest.peer, []).append(guest)
        self._count(guest, 1)

    def remove(self, key: Hashable) -> None:
        """It does no more; nothing happens for one that is not known."""
        guest = self._all.pop(key, None)
        if guest is None:
            return
        self._of[guest.peer].remove(guest)
        if not self._of[guest.peer]:
            del self._of[guest.peer]
        self._count(guest, -1)

    def is_busy(self, peer: str) -> bool:
        """Whether an exchange with the peer is under way."""
        return peer in self._busy

    @contextmanager
    def using(self, peer: str, clock: Callable[[], float]) -> Iterator[None]:
        """An exchange with the peer, either way, for the length of the block."""
        self._busy[peer] += 1
        try:
            yield
        finally:
            self._busy[peer] -= 1
            if not self._busy[peer]:
                del self._busy[peer]
            for guest in self.of(peer):
                guest.used = clock()

    def _count(self, guest: Guest, change: int) -> None:
        if not guest.outbound:
            self.inbound += change
            _add(self.by_range, guest.range, change)
        _add(self.by_wide, guest.wide, change)


def _add(counts: Counter[str], key: str | None, change: int) -> None:
    if key is not None:
        counts[key] += change
        if not counts[key]:
            del counts[key]
