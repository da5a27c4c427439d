"""A settler's receipts: each is checked whole, by the network's rules, before it is kept; what came together is written
together."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import trio

from p2p.rates import Rates
from settle.chain import ChainError
from settle.ledger import epoch_of, is_due
from settle.lines import Claimed
from storage import StoreError
from storage.settling import Held
from verify.settling import payable
from verify.zk.arithmetic import checked_by
from wire.canonical import encode
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.receiptfile import ReceiptFile
from wire.settlement import Payable, Settled

from ..bounds import (
    MAX_AHEAD_OF_CHAIN_MS,
    MAX_HELD_OF_ONE,
    MAX_HELD_OF_STRANGERS,
    MAX_RECEIPTS_WAITING,
    REST_MS,
    SETTLE_BURST,
    SETTLE_CHECKS,
    SETTLE_RATE,
    STRANGER_SECONDS,
    VERSION_SECONDS,
)
from ..peer import Peer
from ..signal import Signal
from .clock import ChainClock

log = logging.getLogger("hallmark.settler")


@dataclass
class _Waiting:
    """Receipts that wait for the disk, and who waits for them."""

    receipts: list[tuple[Held, bytes]] = field(default_factory=list)
    written: trio.Event = field(default_factory=trio.Event)
    kept: list[bool] = field(default_factory=list)
    failed: StoreError | None = None


class Desk:
    """`run` until cancelled. `genesis` and `epoch_seconds` are the chain's."""

    def __init__(self, peer: Peer, clock: ChainClock, genesis: int, epoch_seconds: int) -> None:
        self._peer, self._store, self._clock = peer, peer.local.store.settling, clock
        self._genesis, self._seconds = genesis, epoch_seconds
        self._held: dict[bytes, Held] = {}  # by the receipt's digest
        self._receipts: dict[bytes, bytes] = {}  # a version's receipt
        self._of = Counter[bytes]()  # receipts of a provider
        self._known: set[bytes] = set()  # providers that the registry knows
        self._strangers: dict[bytes, float] = {}  # those that it did not know, and when it was asked (trio's clock)
        self._waiting = _Waiting()
        self._come = Signal()
        self._rates = Rates(SETTLE_RATE, SETTLE_BURST)
        self._checking = trio.CapacityLimiter(SETTLE_CHECKS)

    def load(self) -> None:
        """What the store has. Blocks."""
        for held in self._store.held():
            self._add(held)

    async def run(self) -> None:
        """Write what comes."""
        while True:
            seen = self._come.count
            if self._waiting.receipts:
                batch, self._waiting = self._waiting, _Waiting()
                try:
                    batch.kept = await self._peer.local.store.in_thread(self._store.put, batch.receipts)
                except StoreError as error:
                    batch.failed = error
                for (held, _), kept in zip(batch.receipts, batch.kept, strict=False):
                    if kept and self._is_news(held.payable):
                        self._add(held)
                batch.written.set()
            await self._come.wait(float("inf"), since=seen)

    async def take(self, file: ReceiptFile, giver: str, *, asked: bool = False, by_settler: bool = False) -> Settled:
        """Check a receipt and keep it; returns when it is on disk. RemoteError says why it is not kept.

        `asked`: this settler fetched it, so nobody's rate is counted. `by_settler`: it compares
        its receipts with ours.
        """
        network, now = self._peer.network, self._clock.now()
        receipt = file.receipt.receipt
        digest = receipt.digest(network.domain)
        if (epoch := self._store.settled_in(digest)) is not None:
            return Settled(receipt=digest, epoch=epoch)
        finished_in = epoch_of(receipt.finished_ms, self._genesis, self._seconds)
        if not is_due(finished_in, max(finished_in, (now - self._genesis) // self._seconds - 1)):
            raise RemoteError(ErrorCode.REFUSED, "that receipt is too old to be settled", retry=False)
        if receipt.finished_ms > now * 1000 + MAX_AHEAD_OF_CHAIN_MS:
            raise RemoteError(ErrorCode.REFUSED, "that receipt is from the future", after_ms=REST_MS)
        if not asked and not self._rates.take(giver, trio.current_time()):
            raise RemoteError(ErrorCode.OVERLOADED, "you hand over more receipts than one may", after_ms=REST_MS)
        if len(self._waiting.receipts) >= MAX_RECEIPTS_WAITING:
            raise RemoteError(ErrorCode.OVERLOADED, "too many receipts wait for this settler's disk", after_ms=REST_MS)
        known = self._held.get(digest)
        if known is not None and not (asked or by_settler) and now - known.since_s > VERSION_SECONDS:
            return Settled(receipt=digest, epoch=None)  # else one receipt's many certificates keep settlers apart
        found = await self._check(file)
        if not self._is_news(found):
            return Settled(receipt=digest, epoch=None)
        await self._check_room(found)
        before = self._held.get(digest)  # with other signers: it is here since the first
        await self._keep(Held(payable=found, since_s=before.since_s if before else now), encode(file))
        return Settled(receipt=digest, epoch=None)

    def claims(self, epoch: int, spent: Collection[bytes]) -> dict[bytes, Claimed]:
        """By version, every receipt that this epoch's revenue may pay; `spent` are those that another epoch's does."""
        return {
            held.payable.version: _claimed(held.payable)
            for digest, held in self._held.items()
            if digest not in spent and is_due(epoch_of(held.payable.finished_ms, self._genesis, self._seconds), epoch)
        }

    def in_time(self, cut_s: int, claims: Mapping[bytes, Claimed]) -> dict[bytes, Claimed]:
        """Those of them that were here by then."""
        return {v: claim for v, claim in claims.items() if self._held[claim.receipt].since_s <= cut_s}

    def has(self, version: bytes) -> bool:
        """Whether this version is here, and counts."""
        return version in self._receipts

    def receipts_of(self, versions: Iterable[bytes]) -> frozenset[bytes]:
        """The digests of these versions' receipts, as far as they are here."""
        return frozenset(self._receipts[v] for v in versions if v in self._receipts)

    def file(self, version: bytes) -> bytes | None:
        """A version's receipt file, encoded. StoreDamaged when it is damaged."""
        receipt = self._receipts.get(version)
        return None if receipt is None else self._store.file(receipt)

    def receipt(self, digest: bytes) -> Payable | None:
        """What is kept of a receipt."""
        held = self._held.get(digest)
        return None if held is None else held.payable

    @property
    def count(self) -> int:
        """Receipts here."""
        return len(self._held)

    async def forget(self, digests: Collection[bytes]) -> None:
        """These are settled for good."""
        for digest in digests:
            self._drop(digest)
        await self._peer.local.store.in_thread(self._store.forget, list(digests))

    async def forget_old(self, epoch: int) -> None:
        """Those that this and later epochs can pay no more."""
        genesis, seconds = self._genesis, self._seconds
        old = [
            digest
            for digest, held in self._held.items()
            if (finished := epoch_of(held.payable.finished_ms, genesis, seconds)) < epoch
            and not is_due(finished, epoch)
        ]
        if old:
            await self.forget(old)

    async def _check(self, file: ReceiptFile) -> Payable:
        network, checker = self._peer.network, self._peer.checked.found

        def check() -> Payable:
            with checked_by(checker):
                return payable(file, network)

        try:
            return await trio.to_thread.run_sync(check, limiter=self._checking)
        except RecordError as error:
            raise RemoteError(ErrorCode.REFUSED, f"that receipt does not hold: {error}", retry=False) from error

    async def _check_room(self, found: Payable) -> None:
        """Keys are free: whom the registry does not know shares a little room with all others of that kind."""
        provider, now = found.provider, trio.current_time()
        if provider not in self._known and now - self._strangers.get(provider, -STRANGER_SECONDS) >= STRANGER_SECONDS:
            chain = self._peer.chain
            assert chain is not None
            try:
                owner = await chain.call(chain.domain.contract, "Registry", "ownerOf", provider)
            except ChainError as error:
                raise RemoteError(ErrorCode.OVERLOADED, "this settler has no chain now", after_ms=REST_MS) from error
            if owner != bytes(20):
                self._known.add(provider)
            else:
                self._strangers = {p: t for p, t in self._strangers.items() if now - t < STRANGER_SECONDS}
                self._strangers[provider] = now
        full = self._of[provider] >= MAX_HELD_OF_ONE
        if provider not in self._known:
            theirs = sum(count for stranger, count in self._of.items() if stranger not in self._known)
            full = full or theirs >= MAX_HELD_OF_STRANGERS
        if full:
            text = "this settler has as many receipts of that provider as it takes"
            raise RemoteError(ErrorCode.OVERLOADED, text, after_ms=REST_MS)

    async def _keep(self, held: Held, data: bytes) -> None:
        batch, place = self._waiting, len(self._waiting.receipts)
        batch.receipts.append((held, data))
        self._come.notify()
        await batch.written.wait()
        if batch.failed is not None or not batch.kept[place]:
            log.warning("a receipt is not kept: %s", batch.failed or "there are too many")
            raise RemoteError(ErrorCode.OVERLOADED, "this settler has no room on disk", after_ms=REST_MS)

    def _is_news(self, found: Payable) -> bool:
        before = self._held.get(found.receipt)
        return before is None or found.counts_before(before.payable)

    def _add(self, held: Held) -> None:
        found = held.payable
        self._drop(found.receipt)
        self._held[found.receipt] = held
        self._receipts[found.version] = found.receipt
        self._of[found.provider] += 1

    def _drop(self, digest: bytes) -> None:
        held = self._held.pop(digest, None)
        if held is not None:
            found = held.payable
            self._receipts.pop(found.version, None)
            self._of[found.provider] -= 1
            if not self._of[found.provider]:
                del self._of[found.provider]


def _claimed(found: Payable) -> Claimed:
    return Claimed(
        receipt=found.receipt,
        provider=found.provider,
        price=int(found.price),
        finished_ms=found.finished_ms,
        publisher=found.publisher,
        royalty_bps=found.royalty_bps,
        verifiers=found.payees,
    )
