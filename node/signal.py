"""Something changed: many may wait for the next time."""

from __future__ import annotations

import trio


class Signal:
    """`notify` wakes everyone who waits. Who looks, does something about it and only then waits takes `count` before it
    looks and passes it to `wait`, so that what changes meanwhile is not missed."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self.count = 0

    def notify(self) -> None:
        """Wake all waiters."""
        self.count += 1
        event, self._event = self._event, trio.Event()
        event.set()

    async def wait(self, most: float, *, since: int | None = None) -> None:
        """Return at the next `notify` (at once when one came after the count was `since`), or after `most` seconds."""
        if since is not None and since != self.count:
            return
        with trio.move_on_after(most):
            await self._event.wait()
