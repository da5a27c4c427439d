"""When each client of a closed loop asks: one step against one peer. A machine without I/O.

Every client has one request in flight, and asks again as soon as it was answered, so that the load is what the peer
bears. The step has three parts: a warm-up, which lasts until every client had its first answer and is not counted; the
time that counts; and the end, when nobody asks any more. A client whose request failed rests for as long as it was told
to, else for a while that doubles. When nothing but failures comes, the step is given up.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import bounds

OVERLOADED = "overloaded"  # the one failure that says nothing is wrong: see wire.errors.ErrorCode


@dataclass(frozen=True, slots=True)
class Send:
    """Ask now. `index` counts the step's requests, so that its inputs take turns."""

    index: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Come back at this time."""

    until: float


class Load:
    """See the module. Times are seconds on one clock that never goes back."""

    def __init__(self, clients: int, duration: float, now: float) -> None:
        self.clients, self.duration = clients, duration
        self.counts_from: float | None = None  # when the warm-up ended
        self.given_up = False
        self._began = now
        self._warm = now + min(bounds.WARM_SECONDS, bounds.WARM_SHARE * duration)
        self._sent = 0
        self._heard: set[int] = set()  # clients whose first request has ended, however
        self._answered = self._over = False
        self._vain = 0  # failures since the last answer
        self._failures = [0] * clients  # in a row, by client
        self._rests = [now] * clients

    @property
    def ends_at(self) -> float:
        """When the time that counts ends; at the latest, as long as it has not begun."""
        start = self._began + bounds.WARM_MOST if self.counts_from is None else self.counts_from
        return start + self.duration

    def next(self, client: int, now: float) -> Send | Pause | None:
        """What the client does next; None when it is done."""
        if self._is_over(now):
            return None
        if now < self._rests[client]:
            return Pause(min(self._rests[client], self.ends_at))
        self._sent += 1
        return Send(self._sent - 1)

    def answered(self, client: int, now: float) -> bool:
        """The client has its answer; whether it counts."""
        self._answered, self._vain, self._failures[client] = True, 0, 0
        return self._ended(client, now)

    def failed(self, client: int, now: float, kind: str, hint: float | None = None) -> bool:
        """The client's request failed; `hint` is how many seconds the peer told it to stay away. Whether it counts."""
        self._failures[client] += 1
        if kind != OVERLOADED:
            self._vain += 1
            self.given_up = self.given_up or self._vain >= max(bounds.VAIN_LEAST, 2 * self.clients)
        self._rests[client] = now + self._rest(client, hint)
        return self._ended(client, now)

    def _ended(self, client: int, now: float) -> bool:
        counts = self.counts_from is not None and now < self.ends_at
        self._heard.add(client)
        if self.counts_from is None and not self._is_over(now) and self._is_warm(now):
            self.counts_from = now
        return counts

    def _is_warm(self, now: float) -> bool:
        if now >= self._began + bounds.WARM_MOST:
            return self._answered
        return now >= self._warm and len(self._heard) == self.clients

    def _is_over(self, now: float) -> bool:
        if self.counts_from is None and not self._answered and now >= self._began + bounds.WARM_MOST:
            self.given_up = True  # for good, whatever comes later: some clients have left by then
        self._over = self._over or now >= self.ends_at  # and a late answer does not begin it anew
        return self.given_up or self._over

    def _rest(self, client: int, hint: float | None) -> float:
        if hint is not None:
            return min(max(hint, 0.0), bounds.HINT_MOST)
        doubled = bounds.PAUSE_FIRST * 2.0 ** min(self._failures[client] - 1, 16)
        # Clients that were refused together must not come back together: each has a share of its own.
        share: float = 0.5 + (client * 0.618034) % 1 / 2
        return min(doubled, bounds.PAUSE_MOST) * share
