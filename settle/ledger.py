"""What the chain says of one epoch: who settles it, what came in, which shares hold, and which root stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from wire.canonical import Amount
from wire.keys import address_of
from wire.settlement import EpochRoot

from . import bounds
from .chain import Block, Chain
from .epoch import Settlers, Timetable
from .errors import Unavailable
from .lines import Claimed, Settlement, Shares, lines_of
from .stake import HUB, SETTLER, Standing


class Status(IntEnum):
    """Of an epoch's root, as the contract counts."""

    OPEN = 0
    POSTED = 1
    FINAL = 2


@dataclass(frozen=True)
class Posted:
    """The root that stands. `posted_at` in seconds, the chain's."""

    root: bytes
    count: int
    total: int
    posted_at: int
    status: Status

    def is_of(self, root: EpochRoot) -> bool:
        """Whether it is this root."""
        return (self.root, self.count, self.total) == (root.root, root.count, root.total)


@dataclass(frozen=True)
class EpochFacts:
    """What decides an epoch's lines, but for the receipts. Nodes by address.

    `settlers` sign its root: those with a stake when it ended, or when epoch `named` was opened into which it was
    rolled over. Its lines are decided by its end whoever signs them: `sharers` are the settlers of then, `hubs` the
    hubs, and `beacon` that of the epoch which followed.
    """

    epoch: int
    named: int
    beacon: bytes
    pot: int
    shares: Shares
    revenue: Mapping[bytes, int]
    settlers: Settlers
    sharers: tuple[bytes, ...]
    hubs: Mapping[bytes, int]
    times: Timetable
    keys: Mapping[bytes, bytes] = field(default_factory=dict)  # the settlers' public keys
    closed_at: int = 0  # when the epoch after it was opened, seconds: what is refused until then is not paid

    def settle(self, claims: Mapping[bytes, Claimed]) -> Settlement:
        """The epoch's lines over these receipts."""
        return lines_of(claims.values(), self.revenue, self.shares, self.sharers, self.hubs, self.beacon)

    def root_of(self, settled: Settlement, tree_root: bytes) -> EpochRoot:
        """What settlers sign of it."""
        return EpochRoot(
            epoch=self.epoch,
            root=tree_root,
            count=len(settled.lines),
            total=Amount(settled.total),
            receipts=settled.receipts,
        )


def epoch_of(finished_ms: int, genesis: int, epoch_seconds: int) -> int:
    """The epoch in which an answer was finished; none is before the first."""
    return max(0, (finished_ms // 1000 - genesis) // epoch_seconds)


def is_due(finished_in: int, epoch: int) -> bool:
    """Whether a receipt of one epoch can be paid by another one's revenue."""
    return finished_in <= epoch <= finished_in + bounds.RECEIPT_EPOCHS


class Ledger:
    """Reads epochs. It remembers what never changes."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._settlers, self._hubs = Standing(chain, SETTLER), Standing(chain, HUB)
        self._facts: dict[tuple[int, int], EpochFacts] = {}
        self._fixed: tuple[int, int, int] | None = None

    async def fixed(self) -> tuple[int, int, int]:
        """When epoch 0 began, an epoch's length and a window's: seconds, for ever."""
        if self._fixed is None:
            names = ("genesis", "epochSeconds", "windowSeconds")
            self._fixed = (int(await self.ask(names[0])), int(await self.ask(names[1])), int(await self.ask(names[2])))
        return self._fixed

    async def ask(self, function: str, *args: Any, at: Block | None = None) -> Any:
        """A view of the contract, at a block or the newest."""
        return await self._chain.call(
            self._chain.spec.epochs, "Epochs", function, *args, block=at.number if at else None
        )

    async def current(self, at: Block) -> int:
        """The number of the epoch that it is at this block."""
        genesis, seconds, _ = await self.fixed()
        return (at.timestamp - genesis) // seconds

    async def posted(self, epoch: int, at: Block) -> Posted:
        """Which root stands."""
        said = await self.ask("rootOf", epoch, at=at)
        return Posted(said["root"], said["count"], said["total"], said["postedAt"], Status(said["status"]))

    async def facts(self, epoch: int, at: Block) -> EpochFacts | None:
        """What decides the epoch's lines; None while it has not ended, or where nobody opened it."""
        said = await self.ask("settlersOf", epoch, at=at)
        named, block = int(said["named"]), int(said["blockNumber"])
        if named == 0 or block >= at.number:
            return None
        if (epoch, named) not in self._facts:
            self._facts[epoch, named] = await self._read(epoch, named, block, at)
        return self._facts[epoch, named]

    async def _read(self, epoch: int, named: int, block: int, at: Block) -> EpochFacts:
        pot = int(await self.ask("potOf", epoch, at=at))
        since = int(await self.ask("openedBlock", epoch, at=at))
        revenue: dict[bytes, int] = {}
        for event in await self._chain.logs(
            self._chain.spec.epochs, "Epochs", ["Collected"], since, min(at.number, block + 1)
        ):
            if event.values["epoch"] == epoch:
                node = event.values["node"]
                revenue[node] = revenue.get(node, 0) + event.values["amount"]
        if sum(revenue.values()) != pot:
            raise Unavailable(f"the revenue of epoch {epoch} does not make up its pot: the RPC contradicts itself")
        settlers = await self._settlers.at(block, at)
        closing = await self.ask("closingOf", epoch, at=at)
        ended = int(closing["blockNumber"])
        sharers = settlers if ended == block else await self._settlers.at(ended, at)
        hubs = await self._hubs.at(ended, at)
        shares = await self._chain.call(self._chain.spec.split, "Split", "sharesOf", epoch, block=at.number)
        _, seconds, _ = await self.fixed()
        return EpochFacts(
            epoch=epoch,
            named=named,
            beacon=await self.ask("beaconOf", closing["next"], at=at),
            pot=pot,
            shares=Shares(
                shares["publisherMax"], shares["verifiers"], shares["hubs"], shares["treasury"], shares["unreceipted"]
            ),
            revenue=revenue,
            settlers=Settlers({address_of(key): stake for key, stake in settlers.items()}),
            sharers=tuple(sorted(address_of(key) for key, stake in sharers.items() if stake > 0)),
            hubs={address_of(key): stake for key, stake in hubs.items()},
            times=Timetable.after(int(await self.ask("openedAt", named, at=at)), seconds),
            keys={address_of(key): key for key in settlers},
            closed_at=int(await self.ask("openedAt", closing["next"], at=at)),
        )
