"""A service that crashes is logged with its cause and started again with back-off; the others go on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from .bounds import ROLE_BACKOFF

log = logging.getLogger("hallmark.node")


async def supervise(name: str, service: Callable[[], Awaitable[None]]) -> None:
    """Run `service` until it returns; after each crash wait, twice as long each time, and start it again.

    A service that ran for a minute before it crashed starts over with the shortest wait.
    """
    first, most = ROLE_BACKOFF
    wait = first
    while True:
        started = trio.current_time()
        try:
            await service()
            return
        except Exception:  # whatever it was, one service's fault must not end the node; the cause is logged
            if trio.current_time() - started > 60:
                wait = first
            log.exception("%s stopped; it starts again in %.1f s", name, wait)
        await trio.sleep(wait)
        wait = min(most, wait * 2)
