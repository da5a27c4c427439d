"""Keeps a background service alive: what dies is started again, later each time, with its cause in the log."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from . import bounds

log = logging.getLogger(__name__)


async def keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run `run` for ever. A run that lasted longer than the longest pause starts the pauses anew."""
    pause = bounds.RESTART
    while True:
        began = trio.current_time()
        try:
            await run()
            log.warning("%s ended; starting it again in %.1f s", name, pause)
        except Exception:  # the service is the library's, and one of its bugs must not end the peer
            log.exception("%s failed; starting it again in %.1f s", name, pause)
        if trio.current_time() - began > bounds.RESTART_MAX:
            pause = bounds.RESTART
        await trio.sleep(pause)
        pause = min(2 * pause, bounds.RESTART_MAX)
