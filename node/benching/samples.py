"""What came of one step, and its figures. No I/O.

A percentile is the nearest rank: the smallest latency that at least so large a share of the answers did not exceed. The
rate is the median of the rates of equal slices of the step's time, so that one hiccup does not colour it; where there
are too few answers for slices it is the mean.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import Generic, TypeVar

from . import bounds

T = TypeVar("T")


def percentile(ordered: Sequence[int], share: float) -> int:
    """The nearest rank, of at least one value in rising order; `share` is above 0 and at most 1."""
    return ordered[max(ceil(share * len(ordered)), 1) - 1]


def rate(offsets: Sequence[float], items: Sequence[int], duration: float) -> float:
    """Items a second: the median over slices. `offsets` say when each answer came, in seconds, 0 to `duration`."""
    slices = max(1, min(bounds.SLICES, len(offsets) // bounds.SLICE_ITEMS))
    sums = [0] * slices
    for offset, count in zip(offsets, items, strict=True):
        sums[min(int(offset / duration * slices), slices - 1)] += count
    return median(sums) * slices / duration


class Thinned(Generic[T]):
    """At most `most` of all that is added, at even distances, without knowing beforehand how many there will be."""

    def __init__(self, most: int) -> None:
        self.kept: list[T] = []
        self._most = most
        self._stride = 1
        self._seen = 0

    def add(self, one: T) -> None:
        if self._seen % self._stride == 0:
            if len(self.kept) == self._most:
                self.kept = self.kept[::2]
                self._stride *= 2
            if self._seen % self._stride == 0:
                self.kept.append(one)
        self._seen += 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One counted answer. `at` is seconds since the counting began; bytes are the tensors' alone."""

    at: float
    latency_us: int
    items: int
    tokens: int
    sent: int
    received: int
    compute_us: int
    price: int
    together: int  # requests that were executed with this one, itself among them
    backend: str


@dataclass
class Samples:
    """Everything that one step brought."""

    latencies: array[int] = field(default_factory=lambda: array("Q"))
    offsets: array[float] = field(default_factory=lambda: array("d"))
    items: array[int] = field(default_factory=lambda: array("Q"))
    together: array[int] = field(default_factory=lambda: array("Q"))
    tokens: int = 0
    sent: int = 0
    received: int = 0
    compute_us: int = 0
    price: int = 0
    wrong: int = 0
    why_wrong: str = ""  # the first wrong answer's fault
    why_failed: str = ""  # the last failure's words
    failures: Counter[str] = field(default_factory=Counter)
    backends: Counter[str] = field(default_factory=Counter)

    def add(self, sample: Sample) -> None:
        self.latencies.append(sample.latency_us)
        self.offsets.append(sample.at)
        self.items.append(sample.items)
        self.together.append(sample.together)
        self.tokens += sample.tokens
        self.sent += sample.sent
        self.received += sample.received
        self.compute_us += sample.compute_us
        self.price += sample.price
        self.backends[sample.backend] += 1

    def add_wrong(self, why: str) -> None:
        self.wrong += 1
        self.why_wrong = self.why_wrong or why

    def add_failure(self, kind: str, why: str) -> None:
        self.failures[kind] += 1
        self.why_failed = why

    @property
    def failed(self) -> int:
        return self.failures.total()

    def figures(self, duration: float) -> dict[str, object]:
        """The step as plain values; latencies and what rests on them are None where nothing was counted."""
        count, total = len(self.latencies), sum(self.items)
        ordered, batches = sorted(self.latencies), sorted(self.together)
        waited = sum(ordered)
        return {
            "seconds": round(duration, 3),
            "requests": count,
            "items": total,
            "items_per_s": round(rate(self.offsets, self.items, duration), 3),
            "mean_items_per_s": round(total / duration, 3),
            "tokens_per_s": round(self.tokens / duration, 3),
            "p50_us": percentile(ordered, 0.50) if count else None,
            "p99_us": percentile(ordered, 0.99) if count else None,
            "max_us": ordered[-1] if count else None,
            "compute_share": round(self.compute_us / waited, 4) if waited else None,
            "failed": self.failed,
            "failures": dict(self.failures),
            "why_failed": self.why_failed,
            "wrong": self.wrong,
            "why_wrong": self.why_wrong,
            "sent_bytes": self.sent,
            "received_bytes": self.received,
            "backends": dict(self.backends),
            "backend": " + ".join(sorted(self.backends)) or None,
            "mixed": len(self.backends) > 1,
            "batch_p50": percentile(batches, 0.50) if count else None,
            "batch_max": batches[-1] if count else None,
            "price_per_1000": round(self.price * 1000 / total) if total else None,
        }
