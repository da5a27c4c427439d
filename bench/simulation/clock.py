"""Virtual time: what is to happen, in the order of its moment, and of its scheduling where moments are the same."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class Clock:
    """Microseconds since the start. Nothing here waits: time goes on to the next thing that happens."""

    def __init__(self) -> None:
        self.us = 0
        self.events = 0  # that have happened
        self._heap: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, us: float, act: Callable[..., object], *args: Any) -> None:
        """`act(*args)` at that moment, which is never before now."""
        self._count += 1
        heappush(self._heap, (max(int(us), self.us), self._count, act, args))

    def step(self) -> bool:
        """Let the next thing happen; False when there is nothing left."""
        if not self._heap:
            return False
        self.us, _, act, args = heappop(self._heap)
        self.events += 1
        act(*args)
        return True

    def run(self, until_us: int) -> None:
        """Let everything happen that happens by then."""
        heap = self._heap
        while heap and heap[0][0] <= until_us:
            self.us, _, act, args = heappop(heap)
            self.events += 1
            act(*args)
        self.us = until_us
