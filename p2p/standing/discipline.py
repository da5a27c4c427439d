"""What is held against peers and what follows from it: the machines of this folder, wired, over a restart too."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import trio

from .doorkeeper import Doorkeeper
from .guests import Guests
from .ledger import Ledger
from .ranges import Ranges
from .saved import StandingFile
from .score import PeerStanding, Standing


class Discipline:
    """Remembers what peers did, refuses them for it, and has their connections ended by `expel`.

    `path`: where it is kept; None to keep it in memory only.
    """

    def __init__(self, path: Path | None, ranges: Ranges) -> None:
        self.guests = Guests(ranges)
        self.standing = Standing(self.guests.where)
        self.door, self.ledger = Doorkeeper(self.standing, self.guests), Ledger()
        self.ledger.flooded = self._flooded
        self.expel: Callable[[str], None] = lambda _: None
        self._saved = StandingFile(path, self.standing)
        self._saved.load(trio.current_time(), time.time_ns() // 1_000_000)

    def listed(self) -> list[PeerStanding]:
        """Peers that are remembered, the refused ones first, then the worst."""
        return self.standing.listed(trio.current_time())

    def refuse(self, peer_id: str, rule: str, seconds: float | None = None) -> None:
        """Refuse the peer for so long, or as long as an offender of its past is, and end its connections."""
        self.standing.refuse(peer_id, trio.current_time(), rule=rule, seconds=seconds)
        self.expel(peer_id)

    def forgive(self, peer_id: str) -> bool:
        """Forget what the peer did; whether it was refused for it."""
        return self.standing.forgive(peer_id, trio.current_time())

    def counts(self) -> dict[str, int]:
        """How often what was refused or held against a peer since the start, by rule."""
        return {**self.standing.counts, **self.door.refused, "memory": self.ledger.shed}

    async def keep(self) -> None:
        """Save what changes, for ever."""
        await self._saved.keep()

    def save(self) -> None:
        """Save it now."""
        self._saved.save()

    def _flooded(self, peer_id: str, weight: float) -> None:
        if self.standing.offend(peer_id, trio.current_time(), weight, rule="empty frames"):
            self.expel(peer_id)
