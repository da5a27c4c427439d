"""Token buckets, one a peer: how often something may happen. A machine without I/O; the time is an argument."""

from __future__ import annotations

from collections import OrderedDict

from . import bounds


class Rates:
    """For each key, `burst` at once and `rate` a second after that; the keys longest unused are forgotten."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, and when that was so

    def take(self, key: str, now: float, cost: float = 1.0) -> bool:
        """Whether `cost` fits what `key` may still do; it is charged only if so. `now` is in seconds."""
        left, then = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - then) * self._rate)
        fits = left >= cost
        self._buckets[key] = (left - cost if fits else left, max(now, then))
        if len(self._buckets) > bounds.BUCKETS:
            self._buckets.popitem(last=False)
        return fits

    def __len__(self) -> int:
        return len(self._buckets)
