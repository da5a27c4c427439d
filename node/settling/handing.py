"""Proved receipts on their way to settlers: kept on disk until enough of them have one on theirs.

Who can prove an answer hands it over: its provider, and of a sampled one its payer, whose secret is part of the proof.
Enough are settlers with more than a third of the stake: as long as fewer than that lie, one of them is honest, and any
others that carry a root hear of the receipt from it. What settlers refuse for good, or nobody takes in a month, is
given up.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping

import trio

from settle.chain import Chain, ChainError
from storage import StoreDamaged, StoreError
from verify.settling import slim
from wire.bounds import MAX_RECORD
from wire.canonical import decode, encode
from wire.errors import RecordError, RemoteError
from wire.keys import peer_id_of
from wire.receiptfile import ReceiptFile
from wire.settlement import Settle, Settled
from wire.tier import rungs_of

from ..bounds import (
    HAND_BATCH,
    HAND_EVERY,
    HAND_LIFE_MS,
    HAND_REFUSED,
    HAND_RETRY,
    LEARN_EVERY,
    SETTLE_SECONDS,
    SETTLERS_AT_ONCE,
)
from ..clock import now_ms
from ..peer import Peer
from ..signal import Signal
from .asking import Settlers, ask_settled

log = logging.getLogger("hallmark.settling")

_ROOM = MAX_RECORD - 1024  # for the message around the file


class Handing:
    """The outbox of one peer. `add` what was proved; `run` until cancelled."""

    def __init__(self, peer: Peer, chain: Chain) -> None:
        self._peer, self._store = peer, peer.local.store
        self._settlers = Settlers(chain)
        self._come = Signal()
        self._waiting: dict[bytes, bytes] = {}  # files by digest, on their way to disk
        self._took: dict[bytes, set[bytes]] = {}  # settlers (keys) that took a receipt
        self._refused: dict[bytes, tuple[float, set[bytes]]] = {}  # those that will not, and since when (trio's clock)
        self._pause = HAND_RETRY[0]
        self._learn_at = 0.0

    def add(self, file: ReceiptFile) -> None:
        """Have settlers take this receipt, if it is one that this peer can prove, and that cost something."""
        receipt, own = file.receipt.receipt, self._peer.local.key.address
        prover = receipt.payer if "sampled" in rungs_of(receipt.tier) else receipt.provider
        if not receipt.price or own != prover:
            return
        data = encode(slim(file))
        if len(data) > _ROOM:
            log.warning("an answer's receipt has %d bytes: settlers take %d", len(data), _ROOM)
            return
        self._waiting[receipt.digest(self._peer.network.domain)] = data
        self._come.notify()

    async def run(self) -> None:
        """Write down what came, hand it over, and learn where it was settled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep)
            while True:
                seen, taken = self._come.count, True
                try:
                    stakes = await self._settlers.stakes()
                    taken = await self._hand_over(stakes)
                    await self._learn(stakes)
                except (ChainError, StoreError) as error:
                    log.info("receipts wait: %s", error)
                    taken = False
                self._pause = HAND_RETRY[0] if taken else min(2 * self._pause, HAND_RETRY[1])
                await trio.sleep(HAND_EVERY if taken else self._pause)
                if taken:
                    await self._come.wait(LEARN_EVERY, since=seen)

    async def _keep(self) -> None:
        """Write down what came, and at the end once more: a command may end right behind its answer."""
        try:
            while True:
                seen = self._come.count
                await self._write()
                await self._come.wait(float("inf"), since=seen)
        finally:
            with trio.CancelScope(shield=True):
                await self._write()

    async def _write(self) -> None:
        batch = dict(self._waiting)
        if not batch:
            return
        try:
            full = await self._store.in_thread(self._store.settling.post, batch, now_ms())
            if full:
                log.warning("%d receipts are lost to settlement: too many wait for settlers", full)
        except StoreError as error:
            log.warning("receipts of answers could not be kept for settlers: %s", error)
        self._waiting = {d: data for d, data in self._waiting.items() if batch.get(d) is not data}

    async def _hand_over(self, stakes: Mapping[bytes, int]) -> bool:
        """Whether nothing waits any more."""
        store = self._store.settling
        await self._store.in_thread(store.drop, now_ms() - HAND_LIFE_MS)
        waiting = store.waiting(HAND_BATCH)
        if not waiting or not stakes:
            return not waiting
        async with trio.open_nursery() as nursery:
            limit = trio.CapacityLimiter(SETTLERS_AT_ONCE)
            # A lot decides who is asked first, so that all have about as much to do.
            for public in random.sample(sorted(stakes), len(stakes)):
                nursery.start_soon(self._hand_to, public, waiting, stakes, limit)
        done = [digest for digest in waiting if _enough(self._took.get(digest, set()), stakes)]
        lost = [digest for digest in waiting if self._is_lost(digest, stakes)]
        await self._store.in_thread(store.taken, done)
        if lost:
            log.warning("%d receipts are lost to settlement: settlers refuse them", len(lost))
            await self._store.in_thread(store.drop, 0, lost)
        for digest in (*done, *lost):
            self._took.pop(digest, None)
            self._refused.pop(digest, None)
        return len(done) + len(lost) == len(waiting)

    def _is_lost(self, digest: bytes, stakes: Mapping[bytes, int]) -> bool:
        """Whether so many refuse it that one of them is honest, and still do after a while: it may know more then."""
        since, who = self._refused.get(digest, (0.0, set()))
        return _enough(who, stakes) and trio.current_time() - since >= HAND_REFUSED

    async def _hand_to(
        self,
        public: bytes,
        receipts: list[bytes],
        stakes: Mapping[bytes, int],
        limit: trio.CapacityLimiter,
    ) -> None:
        peer_id = peer_id_of(public)
        self._peer.host.learn(peer_id, self._peer.addresses_of(public))
        async with limit:
            for digest in receipts:
                took = self._took.setdefault(digest, set())
                if public in took or _enough(took, stakes):
                    continue
                try:
                    data = self._store.settling.to_hand(digest)
                    if data is None:
                        continue
                    async with self._peer.host.exchange(peer_id, "settle") as channel:
                        await channel.send(Settle(file=decode(data, ReceiptFile)))
                        said = await channel.receive(Settled, timeout=SETTLE_SECONDS)
                    if said.receipt == digest:
                        took.add(public)
                except (StoreDamaged, RecordError) as error:
                    log.warning("a receipt is lost to settlement: %s", error)
                    await self._store.in_thread(self._store.settling.drop, 0, [digest])
                except RemoteError as error:
                    log.info("settler %s took no receipt: %s", peer_id, error)
                    if error.retry:
                        return  # it may have room later; others may take it now
                    self._refused.setdefault(digest, (trio.current_time(), set()))[1].add(public)

    async def _learn(self, stakes: Mapping[bytes, int]) -> None:
        asked = self._unsettled()
        if asked and stakes and trio.current_time() >= self._learn_at:
            self._learn_at = trio.current_time() + LEARN_EVERY
            try:
                found = await ask_settled(self._peer, list(stakes), asked)
            except RemoteError as error:
                log.info("no settler says what was settled: %s", error)
                return
            if found:
                await self._store.in_thread(self._store.settling.settle, found)

    def _unsettled(self) -> list[bytes]:
        """What was handed over here, and what this peer paid for, as far as it is not known to be settled."""
        settling, since = self._store.settling, now_ms() - HAND_LIFE_MS
        paid = [
            summary.digest
            for summary in self._store.receipts.all(HAND_BATCH)
            if summary.price and summary.finished_ms > since and settling.settled_in(summary.digest) is None
        ]
        return list(dict.fromkeys([*settling.handed(HAND_BATCH), *paid]))


def _enough(took: set[bytes], stakes: Mapping[bytes, int]) -> bool:
    """More than a third of the stake."""
    return 3 * sum(stakes.get(key, 0) for key in took) > sum(stakes.values())
