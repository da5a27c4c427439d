"""A provider's short memory of whom it answered: what it needs to countersign a benchmark. A machine without I/O.

Bounded in payers and in time; whoever it no longer remembers gets no countersignature, and nothing else is lost. An
answer's time is kept to a quarter of a second, so that a benchmark may claim those of a quarter too many at either end.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from wire.benchmark import Benchmark
from wire.inference import Backend, Receipt
from wire.tier import Tier

from . import bounds

_Key = tuple[bytes, bytes, Tier, str, Backend]


class _Counts:
    """Answers and their items in each slot of time, from `first` on without a gap."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._slots: deque[tuple[int, int]] = deque()

    def add(self, slot: int, items: int) -> None:
        if slot >= self._first + len(self._slots) + bounds.WITNESS_SLOTS:  # after so long a silence nothing is left
            self._slots.clear()
            self._first = slot
        while self._first + len(self._slots) <= slot:
            if len(self._slots) == bounds.WITNESS_SLOTS:
                self._slots.popleft()
                self._first += 1
            self._slots.append((0, 0))
        if slot >= self._first:  # else the clock was set back, beyond what is remembered
            answers, before = self._slots[slot - self._first]
            self._slots[slot - self._first] = answers + 1, before + items

    def between(self, first: int, last: int) -> tuple[int, int]:
        end = min(last + 1, self._first + len(self._slots))
        found = [self._slots[slot - self._first] for slot in range(max(first, self._first), end)]
        return sum(answers for answers, _ in found), sum(items for _, items in found)


class Witness:
    """Counts this provider's own receipts."""

    def __init__(self) -> None:
        self._counts: OrderedDict[_Key, _Counts] = OrderedDict()

    def note(self, receipt: Receipt) -> None:
        """An answer went out."""
        key = (receipt.payer, receipt.model, receipt.tier, receipt.runtime.profile, receipt.runtime.backend)
        slot = receipt.finished_ms // bounds.WITNESS_SLOT_MS
        counts = self._counts.setdefault(key, _Counts(slot))
        self._counts.move_to_end(key)
        counts.add(slot, receipt.usage.units)
        if len(self._counts) > bounds.WITNESSED:
            self._counts.popitem(last=False)

    def answered(self, benchmark: Benchmark) -> tuple[int, int]:
        """How many answers of the benchmark's kind it remembers from the benchmark's time, and their items."""
        key = (benchmark.measurer, benchmark.model, benchmark.tier, benchmark.profile, benchmark.backend)
        counts = self._counts.get(key)
        if counts is None:
            return 0, 0
        first, last = (time // bounds.WITNESS_SLOT_MS for time in (benchmark.begun_ms, benchmark.ended_ms))
        return counts.between(first, last)
