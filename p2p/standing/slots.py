"""How many streams peers may have open here. A machine without I/O.

When there are too many in all, the next one is not simply refused: a few peers with many streams each would keep all
others out. Who has most gives up its oldest.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import bounds


@dataclass(eq=False, frozen=True, slots=True)
class Slot:
    """A stream's place."""

    peer: str


class Slots:
    """The streams that peers opened."""

    def __init__(self) -> None:
        self.refused = 0  # since the start, those that gave way among them
        self._open: dict[str, dict[Slot, None]] = {}  # the oldest first
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def take(self, peer: str) -> tuple[Slot | None, Slot | None]:
        """A place for one more stream of the peer's, or None; and the one whose stream ends for it."""
        held, gone = len(self._open.get(peer, ())), None
        if held >= bounds.STREAMS_PER_PEER:
            self.refused += 1
            return None, None
        if self._total >= bounds.STREAMS:
            self.refused += 1
            richest = max(self._open.values(), key=len)
            if len(richest) <= held + 1:
                return None, None
            gone = next(iter(richest))
            self.give(gone)
        slot = Slot(peer)
        self._open.setdefault(peer, {})[slot] = None
        self._total += 1
        return slot, gone

    def give(self, slot: Slot) -> None:
        """The stream is over; nothing happens for one that gave way before."""
        mine = self._open.get(slot.peer, {})
        if slot in mine:
            del mine[slot]
            self._total -= 1
            if not mine:
                del self._open[slot.peer]
