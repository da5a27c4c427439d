"""Joining the network: bootstraps and peer book are tried at the start, and again while nobody is there."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio

from wire.errors import RemoteError

from . import bounds

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of the last try of one address (or of one saved peer)."""

    address: str
    source: str  # "bootstrap" or "peer book"
    failure: str | None  # None when it worked
    at_ms: int


class Bootstrap:
    """Tries to have peers, and remembers what became of each try."""

    def __init__(
        self,
        bootstraps: Sequence[str],
        saved: Callable[[], Sequence[tuple[str, Sequence[str]]]],
        connect: Callable[[Sequence[str]], Awaitable[str]],
        count: Callable[[], int],
    ) -> None:
        self._bootstraps, self._saved = tuple(bootstraps)[: bounds.BOOTSTRAPS], saved
        self._connect, self._count = connect, count
        self._report: dict[tuple[str, str], Attempt] = {}
        self._alone = trio.Event()

    def report(self) -> list[Attempt]:
        """The last try of each bootstrap and saved peer."""
        return list(self._report.values())

    def lost_a_peer(self) -> None:
        """To be called when a connection ends."""
        self._alone.set()

    async def run(self) -> None:
        """Try all at once, then wait until nobody is left and try again; runs until cancelled."""
        pause = bounds.BOOT_RETRY
        while True:
            async with trio.open_nursery() as nursery:
                for address in self._bootstraps:
                    nursery.start_soon(self._try, [address], "bootstrap")
                for _, addresses in list(self._saved())[: bounds.BOOTSTRAPS]:
                    nursery.start_soon(self._try, list(addresses), "peer book")
            if self._count():
                pause = bounds.BOOT_RETRY
                while self._count():
                    self._alone = trio.Event()
                    await self._alone.wait()
            elif self._report:
                log.info("no peer reached yet; trying again in %.0f s", pause)
            await trio.sleep(pause)
            pause = min(2 * pause, bounds.BOOT_RETRY_MAX)

    async def _try(self, addresses: Sequence[str], source: str) -> None:
        failure = None
        try:
            await self._connect(addresses)
        except RemoteError as error:
            failure = error.message
            log.info("%s: %s", source, failure)
        attempt = Attempt(addresses[0], source, failure, time.time_ns() // 1_000_000)
        self._report[source, addresses[0]] = attempt
        while len(self._report) > 2 * bounds.BOOTSTRAPS:
            del self._report[next(iter(self._report))]
