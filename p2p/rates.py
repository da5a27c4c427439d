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


class Standing:
    """Who misbehaved, and who is refused for it, and until when. A machine without I/O."""

    def __init__(self) -> None:
        self._patience = Rates(bounds.OFFENCES / bounds.OFFENCE_WINDOW, bounds.OFFENCES)
        self._refused: OrderedDict[str, float] = OrderedDict()

    def offend(self, peer: str, now: float, weight: float = 1.0) -> bool:
        """Note an offence; True when `peer` is refused from now on because of it."""
        if self.is_refused(peer, now) or self._patience.take(peer, now, weight):
            return False
        self.refuse(peer, now)
        return True

    def refuse(self, peer: str, now: float) -> None:
        """Nothing of `peer` is taken from now on, for a while."""
        self._refused[peer] = now + bounds.REFUSAL
        if len(self._refused) > bounds.BUCKETS:
            self._refused.popitem(last=False)

    def is_refused(self, peer: str, now: float) -> bool:
        """Whether nothing of `peer` is taken at `now`."""
        until = self._refused.get(peer)
        if until is None:
            return False
        if now >= until:
            del self._refused[peer]
            return False
        return True
