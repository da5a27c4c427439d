"""When a worker that died is started again, and when its model is given up.

Only deaths count, never runs that we had to kill for their time: it is the payer who chooses input and deadline, so a
stranger could otherwise have any model withdrawn, or kept waiting, by asking for the impossible.
A machine without I/O: the time comes in as an argument, in seconds of any clock.
"""

from __future__ import annotations

from .bounds import DEATH_WINDOW, RESTART_DELAYS


class Strikes:
    """One model's record of deaths."""

    def __init__(self) -> None:
        self._deaths: list[float] = []
        self.restart_at = float("-inf")  # not before; in the caller's clock
        self.withdrawn: str | None = None  # why the model is not executed any more

    def died(self, now: float, reason: str) -> None:
        """The worker ended by itself: a later restart, or no more once the delays of one window are used up."""
        self._deaths = [t for t in self._deaths if t > now - DEATH_WINDOW] + [now]
        count = len(self._deaths)
        if count <= len(RESTART_DELAYS):
            self.restart_at = now + RESTART_DELAYS[count - 1]
        elif self.withdrawn is None:
            self.withdrawn = f"the model is withdrawn: it ended its worker {count} times, the last time so: {reason}"
