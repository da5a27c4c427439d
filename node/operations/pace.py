"""Progress at the pace of a reader: steps can come a thousand times a second, and each message costs."""

from __future__ import annotations

import trio


class Pace:
    """True once every `seconds`, first after as many. On the trio thread."""

    def __init__(self, seconds: float = 0.1) -> None:
        self._seconds = seconds
        self._next = trio.current_time() + seconds

    def is_time(self) -> bool:
        """Whether it is time to say something again."""
        now = trio.current_time()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
