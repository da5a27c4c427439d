"""When a provider has itself attested anew. A machine without I/O: events and the time in, what is due out.

A quote is renewed long before it stops being fresh, and at once when the set of models changes. Where that fails, the
last one serves until its time is over, and then no answer is offered in a tier that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..bounds import ATTEST_EVERY_MS, ATTEST_FRESH_MS, ATTEST_RETRY_MS


@dataclass(frozen=True)
class Beat:
    """One attestation: over which models (their root), asked for when."""

    models: bytes
    asked_ms: int


class Heartbeat:
    """What stands, and what is due."""

    def __init__(self) -> None:
        self._beat: Beat | None = None
        self._failures = 0
        self._retry_ms = 0
        self.trouble = ""  # why the last attempt failed; "" when it did not

    def due(self, now_ms: int, models: bytes) -> int:
        """Milliseconds until a new quote is due over these models; 0 for at once."""
        beat = self._beat
        stale = beat is None or beat.models != models
        wanted = now_ms if beat is None or stale else beat.asked_ms + ATTEST_EVERY_MS
        return max(0, max(wanted, self._retry_ms) - now_ms)

    def made(self, beat: Beat) -> None:
        """A quote was made and holds."""
        self._beat, self._failures, self._retry_ms, self.trouble = beat, 0, 0, ""

    def failed(self, now_ms: int, why: str) -> None:
        """None was: the next attempt waits, each time twice as long, up to a bound."""
        first, most = ATTEST_RETRY_MS
        self._retry_ms = now_ms + min(most, first << min(self._failures, 16))
        self._failures += 1
        self.trouble = why

    def stands(self, now_ms: int) -> bool:
        """Whether the last one may still be shown."""
        return self._beat is not None and now_ms - self._beat.asked_ms < ATTEST_FRESH_MS
