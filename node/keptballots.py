"""Ballots on their way to disk, behind the votes: what was said while the disk was busy goes in one transaction.

A vote does not wait for the disk, which takes longer than all the rest of a round. A verifier that dies between tells
that ballot to nobody afterwards, and can't give another: it takes no request of before its start.
"""

from __future__ import annotations

import logging

import trio

from storage import Store, StoreError

from .signal import Signal

log = logging.getLogger("hallmark.verifier")


class KeptBallots:
    """`keep` at any time; `run` writes until it is cancelled, and once more then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[bytes, tuple[bytes, int]] = {}
        self._more = Signal()

    def keep(self, request: bytes, reply: bytes, expires_ms: int) -> None:
        """Put the reply to an AskBallot on `request` (its digest) on disk soon, until it expires."""
        self._waiting[request] = (reply, expires_ms)
        self._more.notify()

    async def run(self) -> None:
        """Write what there is, and then what came meanwhile."""
        try:
            while True:
                seen = self._more.count
                await self._write()
                await self._more.wait(float("inf"), since=seen)
        finally:
            with trio.CancelScope(shield=True):
                await self._write()

    async def _write(self) -> None:
        batch = dict(self._waiting)
        if not batch:
            return
        try:
            refused = await self._store.in_thread(self._store.ballots.put_all, batch)
        except StoreError as error:
            log.warning("%d ballots are told until this peer stops, and no longer: %s", len(batch), error)
            refused = 0
        if refused:
            log.warning("%d ballots are told until this peer stops, and no longer: there are too many", refused)
        # A cancelled write comes not so far: its ballots still wait, for the last one.
        self._waiting = {request: reply for request, reply in self._waiting.items() if batch.get(request) is not reply}
