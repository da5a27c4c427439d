"""Whose answers did not hold: remembered for a while, so that one lie is not bought twice. A machine without I/O."""

from __future__ import annotations

from .bounds import DISTRUST_MS, MAX_DISTRUSTED


class Distrust:
    """Providers by key, each with the reason, until it lapses: a key may have been misjudged, or be mended."""

    def __init__(self) -> None:
        self._noted: dict[bytes, tuple[int, str]] = {}

    def note(self, public: bytes, why: str, now_ms: int) -> None:
        """Remember it from now; beyond the bound the oldest is forgotten."""
        self._noted.pop(public, None)
        self._noted[public] = (now_ms + DISTRUST_MS, why)
        if len(self._noted) > MAX_DISTRUSTED:
            del self._noted[next(iter(self._noted))]

    def current(self, now_ms: int) -> dict[bytes, str]:
        """Those who are distrusted at `now_ms`, and why."""
        return {public: why for public, (until, why) in self._noted.items() if now_ms < until}
