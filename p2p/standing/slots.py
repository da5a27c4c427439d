"""How many streams peers may have open here, and how fast. A machine without I/O.

When there are too many in all, the next one is not simply refused: a few peers with many streams each would keep all
others out. Who has most gives up its oldest. Who opens them faster than they are begun with waits for it, and has the
place of each meanwhile.
"""

from __future__ import annotations

import math
from collections import OrderedDict
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
        self._paid: OrderedDict[str, float] = OrderedDict()  # by peer: until when those begun fill its rate

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

    def wait(self, peer: str, now: float) -> float:
        """Seconds until the stream that the peer was given a place for is begun with."""
        burst = bounds.STREAM_BURST / bounds.STREAM_RATE
        paid = max(self._paid.pop(peer, -math.inf), now - burst) + 1 / bounds.STREAM_RATE
        self._paid[peer] = paid
        if len(self._paid) > bounds.BUCKETS:
            self._paid.popitem(last=False)
        return max(0.0, paid - now)

    def give(self, slot: Slot) -> None:
        """The stream is over; nothing happens for one that gave way before."""
        mine = self._open.get(slot.peer, {})
        if slot in mine:
            del mine[slot]
            self._total -= 1
            if not mine:
                del self._open[slot.peer]
