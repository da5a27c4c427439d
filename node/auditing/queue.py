"""Answers of a running node that wait for their checks: one at a time, bounded, and never in anybody's way."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import trio

from ..bounds import CHECK_SECONDS, MAX_CHECKED_BYTES, MAX_CHECKS
from ..signal import Signal

if TYPE_CHECKING:
    from ..peer import Peer
    from .after import Given

log = logging.getLogger("hallmark.audits")


class Checks:
    """The queue. A full one drops what is new, and says so; a node that stops drops what waits. The receipt then tells
    that nobody checked."""

    def __init__(self) -> None:
        self._waiting: deque[Given] = deque()
        self._come = Signal()

    def add(self, given: Given) -> bool:
        """Have this answer checked soon; False where too many wait."""
        size = sum(waiting.size for waiting in self._waiting) + given.size
        if len(self._waiting) >= MAX_CHECKS or size > MAX_CHECKED_BYTES:
            log.warning("an answer is not checked, though its ticket calls for it: too many wait already")
            return False
        self._waiting.append(given)
        self._come.notify()
        return True

    async def run(self, peer: Peer) -> None:
        """Have them checked, until cancelled."""
        from .after import have_checked, take_further  # a node that asks for nothing sampled needs none of it

        while True:
            seen = self._come.count
            while self._waiting:
                given = self._waiting.popleft()
                if peer.draining:
                    return
                file = given.file
                with peer.work(), trio.move_on_after(CHECK_SECONDS) as scope:
                    outcome = await take_further(peer, given, await have_checked(peer, given))
                    file = outcome.file
                    log.log(logging.INFO if outcome.agreed else logging.WARNING, "an answer: %s", outcome.says)
                if scope.cancelled_caught:
                    log.warning("an answer could not be checked in %.0f s", CHECK_SECONDS)
                if peer.handing:
                    peer.handing.add(file)
            await self._come.wait(3600, since=seen)
