"""Stop texts, looked for in a text that comes in pieces of any size. A machine without I/O.

What may turn out to be the beginning of a stop text is held back until that is known, so nothing that was shown is ever
taken back. The stop text that ends first counts: how the text was cut into pieces changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopTexts:
    """Text in, what may be shown of it out, until a stop text is found."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """What can be shown after `text` came too; after `found`, nothing any more."""
        if self.found:
            return ""
        text, self._held = self._held + text, ""
        ends = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            self.found = True
            return text[: min(ends)[1]]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        shown = text[: len(text) - held]
        self._held = text[len(shown) :]
        return shown

    def rest(self) -> str:
        """What was held back, where no more text comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` begin `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if stop.startswith(text[-n:])), 0)
