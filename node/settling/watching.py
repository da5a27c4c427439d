"""A settler's look at the chain, again and again: which epochs ended, which roots stand, and what is to be done."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from settle.bounds import RECEIPT_EPOCHS
from settle.chain import Block, Chain
from settle.challenges import Elsewhere, Known
from settle.epoch import Proposal
from settle.ledger import EpochFacts, Ledger, Posted, Status
from storage import StoreDamaged
from wire.canonical import Amount, decode
from wire.errors import RecordError
from wire.inference import Receipt, SignedReceipt
from wire.receiptfile import ReceiptFile
from wire.settlement import EpochRoot, ProvedLines, Share

from ..bounds import LOOK_BACK
from ..peer import Peer
from .asking import whole_tree
from .book import Book, Kept
from .chores import Chores, is_paid
from .clock import ChainClock
from .desk import Desk
from .rounds import EpochWork

log = logging.getLogger("hallmark.settler")

EVENTS = ("Posted", "Challenged", "Demanded")
_ROLLOVER = 4  # epochs, the contract's
_HELD_UP = 6  # turns that an epoch waits for the ones before it


@dataclass
class _Seen:
    """What the contract's events said, as far as they were read."""

    until: int = -1
    posted: dict[tuple[int, bytes], tuple[EpochRoot, list[bytes]]] = field(default_factory=dict)
    fallen: list[tuple[int, bytes]] = field(default_factory=list)
    demanded: set[tuple[int, int]] = field(default_factory=set)
    accused: set[bytes] = field(default_factory=set)  # receipts that a committee refused


class Watch:
    """`look` does what can be done now. ChainError, StoreError or RemoteError where it has to wait."""

    def __init__(self, peer: Peer, chain: Chain, ledger: Ledger, desk: Desk, clock: ChainClock, book: Book) -> None:
        self._peer, self._chain, self._ledger, self._desk = peer, chain, ledger, desk
        self._clock, self._book = clock, book
        self._store = peer.local.store
        self._chores = Chores(peer)
        self._works: dict[tuple[int, int], EpochWork] = {}  # by epoch, and by whose settlers sign it
        self._stands: dict[int, Posted] = {}
        self._paid: dict[int, frozenset[bytes]] = {}  # by epoch, the receipts that the root that stands pays
        self._refused: dict[bytes, int] = {}  # receipts, and since when they are (seconds, the chain's)
        self._done: set[int] = set()
        self._seen = _Seen()
        self._rests: dict[int, int] = {}  # until when a turn of ours that failed is not tried again
        self._examined: set[tuple[int, bytes]] = set()
        self._opening, self._reading = trio.Lock(), trio.Lock()
        self._looked = False  # before that it is not known what this settler signed of other epochs

    async def look(self) -> None:
        """One look."""
        at = await self._chain.head()
        self._clock.saw(at)
        genesis, seconds, window = await self._ledger.fixed()
        now = self._clock.now()
        epoch = max(0, (now - genesis) // seconds)
        await self._open(epoch)
        first = max(0, epoch - LOOK_BACK)
        await self._read_events(first, at)
        await self._read_refusals(at)
        for past in range(first, epoch):
            if past not in self._done:
                await self._look_at(past, at, now, window)
        self._looked = True
        self._forget(first)
        await self._desk.forget_old(first)

    def _forget(self, first: int) -> None:
        """Nothing more is done for epochs before this one."""
        self._works = {key: work for key, work in self._works.items() if key[0] >= first}
        self._stands = {epoch: stands for epoch, stands in self._stands.items() if epoch >= first}
        self._paid = {epoch: paid for epoch, paid in self._paid.items() if epoch >= first}

    def settles(self, address: bytes) -> bool:
        """Whether it is one of those who settle an epoch that is looked at here."""
        return any(address in work.facts.settlers.stakes for work in self._works.values())

    async def work_of(self, epoch: int) -> EpochWork | None:
        """The epoch's work here; None where it is not to be settled now."""
        at = await self._chain.head()
        self._clock.saw(at)
        if not self._looked:  # what was signed here, of other epochs, is not known yet
            return None
        if epoch not in self._stands:  # it ended since the last look
            await self._read_events(epoch, at)
            await self._read_refusals(at)
        if (await self._ledger.posted(epoch, at)).status is not Status.OPEN:
            return None
        return await self._work(epoch, at)

    async def _look_at(self, epoch: int, at: Block, now: int, window: int) -> None:
        stands = await self._ledger.posted(epoch, at)
        before, self._stands[epoch] = self._stands.get(epoch), stands
        if before is not None and before.status is Status.POSTED and before.root != stands.root:
            self._paid.pop(epoch, None)
            await self._book.drop(epoch)
        if stands.status is Status.OPEN:
            await self._settle(epoch, at, now)
            return
        kept = await self._follow(epoch, stands, at)
        if stands.status is Status.POSTED:
            await self._answer_demands(epoch, kept, at, now)
            if kept is not None and now > stands.posted_at + window + 1 + await self._patience(epoch):
                await self._chores.finalise(epoch, stands.root)
        elif kept is not None:
            await self._finish(kept, at)
            self._done.add(epoch)

    async def _patience(self, epoch: int) -> int:
        """Seconds in which others, whose turn it is before ours, may do what one has to do."""
        _, seconds, _ = await self._ledger.fixed()
        return self._rank(epoch) * max(2, seconds // 60)

    def _rank(self, epoch: int) -> int:
        """How many are before us; among settlers that are not known yet, a lot that each draws for itself."""
        own = self._peer.local.key.address
        if not self._works:
            return own[-1] % 4
        order = self._works[max(self._works)].facts.settlers.order
        return (order.index(own) - epoch) % len(order) if own in order else len(order)

    async def _open(self, epoch: int) -> None:
        if epoch and await self._ledger.ask("openedAt", epoch) == 0:
            genesis, seconds, _ = await self._ledger.fixed()
            if self._clock.now() >= genesis + epoch * seconds + await self._patience(epoch):
                await self._chores.open(epoch)

    # An epoch without a root

    async def _work(self, epoch: int, at: Block) -> EpochWork | None:
        async with self._opening:
            facts = await self._ledger.facts(epoch, at)
            if facts is None or not facts.pot:
                return None
            key = epoch, facts.named
            if key not in self._works:
                self._works[key] = EpochWork(self._peer, self._desk, self._clock, facts, lambda: self._unpayable(facts))
                await self._forget_cancelled(self._works[key], at)
            return self._works[key]

    async def _forget_cancelled(self, work: EpochWork, at: Block) -> None:
        """What we said of a root that the contract cancelled binds us no more."""
        root = work.machine.said
        if root is None:
            return
        fallen = await self._ledger.ask("fallenOf", root.epoch, root.root, root.count, int(root.total), at=at)
        if any(fallen["challenger"]):
            work.machine.forget(root)
            await self._store.in_thread(self._store.settling.cancelled, root)

    async def _settle(self, epoch: int, at: Block, now: int) -> None:
        facts = await self._ledger.facts(epoch, at)
        if facts is None:
            if await self._ledger.ask("openedAt", epoch, at=at) == 0:
                self._done.add(epoch)  # nobody was there, and nothing came in
            return
        work = await self._work(epoch, at)
        if work is None:
            self._done.add(epoch)  # nothing came in
            return
        await self._forget_cancelled(work, at)
        current = await self._ledger.current(at)
        if current >= facts.named + _ROLLOVER:
            await self._chores.rollover(epoch, current)
            return
        late = facts.times.begins + _HELD_UP * facts.times.length
        waits = [e for e in self._stands if e < epoch and e not in self._done]
        if now < late and any(self._stands[e].status is Status.OPEN for e in waits):
            return  # the oldest revenue pays the oldest receipts, unless it is held up for too long
        turn = work.machine.my_turn(now)
        if turn is None or not self._chores.can_send or now < self._rests.get(epoch, 0):
            return
        self._rests[epoch] = now + 1 + facts.times.length // 3  # who was away may be back within the turn
        ready = await work.take_turn(turn)
        if ready is not None:
            await self._chores.post(ready)

    def _spent(self, epoch: int) -> set[bytes]:
        """The receipts that other epochs' roots pay, or may: what this settler signed can be posted at any time, and a
        receipt that two roots pay brings down the later one."""
        paid = [digests for other, digests in self._paid.items() if other != epoch]
        signed = [work.signed for (of, _), work in self._works.items() if of != epoch and of not in self._done]
        return {digest for digests in (*paid, *signed) for digest in digests}

    # An epoch with one

    async def _follow(self, epoch: int, stands: Posted, at: Block) -> Kept | None:
        """The lines of the root that stands, from here or from others; a root that is not ours is examined once."""
        kept = await self._book.lines(epoch)
        if kept is not None and stands.is_of(kept.root):
            self._paid[epoch] = kept.receipts
            return kept
        facts = await self._ledger.facts(epoch, at)
        if facts is None:
            return None
        posted = self._seen.posted.get((epoch, stands.root))
        kept = await self._own_lines(epoch, stands)
        if kept is None and posted is not None:
            kept = await whole_tree(self._peer, facts, posted[0])
            if stands.status is Status.POSTED:
                await self._examine(facts, posted[0], kept, at)
        if kept is not None and kept.is_ordered:
            self._paid[epoch] = kept.receipts
            await self._book.keep(kept)
        return kept

    async def _own_lines(self, epoch: int, stands: Posted) -> Kept | None:
        """The lines, where this settler found the same root."""
        said = self._store.settling.word(epoch)
        if said is None or not stands.is_of(said[0].root):
            return None
        work = next((work for (e, _), work in self._works.items() if e == epoch), None)
        if work is None:
            facts = await self._ledger.facts(epoch, await self._chain.head())
            if facts is None:
                return None
            work = EpochWork(self._peer, self._desk, self._clock, facts, lambda: self._unpayable(facts))
        lines = await work.lines_of(Proposal(said[0].root, said[1]))
        return Kept(said[0].root, lines) if lines else None

    async def _examine(self, facts: EpochFacts, root: EpochRoot, kept: Kept | None, at: Block) -> None:
        """Challenge a root that is not ours, where something can be shown against it."""
        if (facts.epoch, root.root) in self._examined or not self._chores.can_send:
            return
        self._examined.add((facts.epoch, root.root))
        if kept is None:
            log.warning("epoch %d: nobody shows the lines of the root that was posted", facts.epoch)
            await self._chores.demand(root, at.number % max(1, root.count))
            return
        accused = sorted(kept.receipts & self._seen.accused)
        refused = [d for d in accused if 0 < await self._refused_at(d, at) < facts.closed_at]
        known = Known(facts.shares, facts.revenue, self._receipt, refused, await self._elsewhere(facts.epoch))
        await self._chores.challenge(kept, known)

    async def _read_refusals(self, at: Block) -> None:
        """Learn which accusations of receipts that are here hold by now, and since when."""
        for digest in [digest for digest in self._seen.accused if self._desk.receipt(digest) is not None]:
            await self._refused_at(digest, at)

    async def _refused_at(self, digest: bytes, at: Block) -> int:
        """Since when a receipt is refused, seconds; 0 for one that is not."""
        if digest not in self._refused:
            place = self._chain.spec.evidence, "Evidence", "refusedAt"
            if since := int(await self._chain.call(*place, digest, block=at.number)):
                self._refused[digest] = since
        return self._refused.get(digest, 0)

    def _unpayable(self, facts: EpochFacts) -> set[bytes]:
        """What this epoch's root must not pay: it would fall, and its signers be slashed."""
        refused = {digest for digest, since in self._refused.items() if since < facts.closed_at}
        return refused | self._spent(facts.epoch)

    async def _elsewhere(self, epoch: int) -> Callable[[bytes], Elsewhere | None]:
        """Where receipts are paid by roots that were there before this epoch's."""
        mine, found = self._stands[epoch], dict[bytes, Elsewhere]()
        for other, stands in self._stands.items():
            earlier = (stands.posted_at, other) < (mine.posted_at, epoch)
            if other == epoch or stands.status is Status.OPEN or not earlier:
                continue
            kept = await self._book.lines(other)
            for line in kept.lines if kept is not None else ():
                if line.role == Share.PROVIDER and kept is not None:
                    found[line.receipt] = Elsewhere(other, line, kept.path(line))
        return found.get

    def _receipt(self, digest: bytes) -> Receipt | None:
        signed = self._signed_receipt(digest)
        return None if signed is None else signed.receipt

    def _signed_receipt(self, digest: bytes) -> SignedReceipt | None:
        try:
            data = self._store.settling.file(digest)
            return None if data is None else decode(data, ReceiptFile).receipt
        except (StoreDamaged, RecordError):
            return None

    async def _answer_demands(self, epoch: int, kept: Kept | None, at: Block, now: int) -> None:
        for of, index in sorted(self._seen.demanded):
            if of != epoch:
                continue
            challenger, until, closed = (await self._ledger.ask("demandOf", epoch, index, at=at)).values()
            if closed or not any(challenger):
                self._seen.demanded.discard((of, index))
            elif now > until:
                await self._chores.fail(epoch, self._stands[epoch].root, index)
            elif kept is not None:
                await self._chores.show(kept, index, self._signed_receipt(kept.lines[index].receipt))

    async def _finish(self, kept: Kept, at: Block) -> None:
        """A root is final: its receipts are settled for good, and our own lines are claimed."""
        epoch, settled = kept.root.epoch, list(kept.receipts)
        await self._store.in_thread(self._store.settling.settle, dict.fromkeys(settled, epoch))
        await self._desk.forget(settled)
        for run in own_runs(kept, self._peer.local.key.address):
            if self._chores.can_send and not await is_paid(self._chain, kept.root, run, at):
                await self._chores.claim(kept.root, run)

    async def _read_events(self, first_epoch: int, at: Block) -> None:
        async with self._reading:
            await self._read_since(first_epoch, at)

    async def _read_since(self, first_epoch: int, at: Block) -> None:
        seen = self._seen
        if seen.until < 0:
            oldest = max(0, first_epoch - RECEIPT_EPOCHS)  # whose receipts may still be paid
            opened = int(await self._ledger.ask("openedBlock", oldest, at=at))
            seen.until = max(opened, self._chain.spec.from_block) - 1
        if at.number <= seen.until:
            return
        since = seen.until + 1
        for event in await self._chain.logs(self._chain.spec.evidence, "Evidence", ["Accused"], since, at.number):
            seen.accused.add(event.values["receipt"])
        for event in await self._chain.logs(self._chain.spec.epochs, "Epochs", EVENTS, since, at.number):
            epoch, values = event.values["epoch"], event.values
            if event.name == "Posted":
                root = EpochRoot(
                    epoch=epoch, root=values["root"], count=values["count"], total=Amount(values["total"]),
                    receipts=values["receipts"],
                )  # fmt: skip
                seen.posted[epoch, root.root] = root, values["signers"]
            elif event.name == "Demanded":
                seen.demanded.add((epoch, values["index"]))
            else:
                seen.fallen.append((epoch, values["root"]))
        seen.until = at.number
        while seen.fallen:
            epoch, digest = seen.fallen[-1]
            if (posted := seen.posted.get((epoch, digest))) is not None:
                root, signers = posted
                await self._chores.punish(epoch, root.root, root.count, int(root.total), signers)
            self._done.discard(epoch)
            seen.fallen.pop()


def own_runs(kept: Kept, account: bytes) -> list[ProvedLines]:
    """An account's lines under a root, with their paths."""
    return [
        ProvedLines(first=first, first_path=kept.path(first), last=last, last_path=kept.path(last))
        for first, last in kept.runs(account)
    ]
