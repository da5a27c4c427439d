"""One direction of a link, with its faults: when does a packet come out at the other end, if it does. No I/O.

Jitter keeps packets in order, as a queue does; what overtakes is told apart as `reorder`, because TCP minds the one and
not the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass
class Faults:
    """What a link does to what passes, in each direction. Changed while it runs."""

    delay: float = 0.0  # seconds, one way
    jitter: float = 0.0  # seconds, at most this much more or less
    loss: float = 0.0  # of 1
    reorder: float = 0.0  # of 1: these packets do not wait for the delay
    rate: float = 0.0  # bytes a second; 0: no bound
    queue: float = 0.3  # seconds of the rate that wait at most; more is dropped
    down: bool = False


class Direction:
    """One way through a link. Times are seconds of one clock that never goes back."""

    def __init__(self, faults: Faults, random: Random) -> None:
        self.faults, self._random = faults, random
        self._free = 0.0  # when the line has sent what it took
        self._last = 0.0  # when the latest packet in order comes out
        self.lost = 0

    def passes(self, now: float, length: int) -> float | None:
        """When a packet of `length` bytes that goes in now comes out; None when it is lost."""
        faults = self.faults
        if faults.down or (faults.loss and self._random.random() < faults.loss):
            self.lost += 1
            return None
        sent = now
        if faults.rate:
            sent = max(now, self._free) + length / faults.rate
            if sent - now > faults.queue:
                self.lost += 1
                return None
            self._free = sent
        if faults.reorder and self._random.random() < faults.reorder:
            return sent
        out = sent + faults.delay
        if faults.jitter:
            out = max(sent, out + self._random.uniform(-faults.jitter, faults.jitter))
        self._last = max(self._last, out)
        return self._last
