"""How busy a model is: requests, runs and time at work over the last minute. A machine without I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SPAN = 60  # seconds


@dataclass(frozen=True, slots=True)
class Rates:
    """Over the last minute, or since the start: requests a second, requests a run, the share of time at work."""

    requests: float
    company: float
    busy: float


@dataclass(slots=True)
class _Second:
    second: int
    requests: int = 0
    runs: int = 0
    busy: float = 0.0


class Meter:
    """Counts what was executed, a second at a time."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._seconds: deque[_Second] = deque(maxlen=SPAN + 1)

    def note(self, requests: int, busy: float, now: float) -> None:
        """A run that took `busy` seconds has answered so many requests."""
        if not self._seconds or self._seconds[-1].second != int(now):
            self._seconds.append(_Second(int(now)))
        last = self._seconds[-1]
        last.requests, last.runs, last.busy = last.requests + requests, last.runs + 1, last.busy + busy

    def pace(self, now: float) -> float | None:
        """Seconds at work for one request, over the last minute; None when none was answered."""
        self._forget(now)
        requests = sum(s.requests for s in self._seconds)
        return sum(s.busy for s in self._seconds) / requests if requests else None

    def rates(self, now: float) -> Rates:
        """The figures now."""
        self._forget(now)
        requests, runs = sum(s.requests for s in self._seconds), sum(s.runs for s in self._seconds)
        span = min(max(now - self._since, 1.0), SPAN)
        busy = min(sum(s.busy for s in self._seconds) / span, 1.0)
        return Rates(requests / span, requests / runs if runs else 0.0, busy)

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0].second <= now - SPAN:
            self._seconds.popleft()
