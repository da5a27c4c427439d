"""A pull as a person wants to see it: how fast, from how many peers, how long still. A machine without I/O."""

from __future__ import annotations

from collections import deque
from typing import Any

SPAN = 5.0  # seconds over which the rate is taken
RECENT = 2.0  # seconds since its last bytes for which a peer counts as delivering
QUIET = ("", "asking", "complete")  # what need not be said in words


class Pulling:
    """What is known of one file's progress."""

    def __init__(self) -> None:
        self.fetched = 0  # bytes that came in this pull
        self._first: int | None = None
        self._samples: deque[tuple[float, int]] = deque()  # when, and bytes done by then; one a tenth of a second
        self._heard: dict[str, float] = {}

    def note(self, done: int, total: int, peer: str, text: str, now: float) -> None:
        """Something happened: see `p2p.blobs.fetching.OnProgress`."""
        if total and self._first is None:  # the size is known, and nothing has come yet: this much was here
            self._first = done
            self._samples.clear()
        self.fetched = done - (self._first or 0)
        if text == "" and peer:
            self._heard[peer] = now
        if not self._samples or now - self._samples[-1][0] >= 0.1:
            self._samples.append((now, done))
        while now - self._samples[0][0] > SPAN:
            self._samples.popleft()

    def figures(self, total: int, now: float) -> dict[str, Any]:
        """`rate` in bytes a second, `peers` that deliver, `left_s` in seconds (None while nothing comes)."""
        (then, before), (_, done) = self._samples[0], self._samples[-1]
        rate = (done - before) / (now - then) if now > then else 0.0
        peers = sum(now - heard <= RECENT for heard in self._heard.values())
        left = round((total - done) / rate, 1) if rate else None
        return {"rate": round(rate), "peers": peers, "left_s": left}
