"""One epoch at one settler: the machine's decisions carried to the other settlers, and theirs back.

Whatever this settler says is on disk before it leaves. What others say is checked by the machine; one that is silent or
talks nonsense is passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from typing import TYPE_CHECKING

import trio

from p2p import Channel
from settle.epoch import EpochMachine, Proposal, Ready, Said
from settle.ledger import EpochFacts
from settle.stake import each
from settle.tree import Tree
from wire.canonical import decode
from wire.errors import ErrorCode, RemoteError
from wire.keys import peer_id_of
from wire.receiptfile import ReceiptFile
from wire.settlement import (
    MAX_RECEIPTS_NAMED,
    Agreed,
    Certified,
    Compare,
    EpochRoot,
    Fetch,
    Missing,
    Propose,
    Settle,
    Settled,
    SettlementLine,
    SignedRoot,
)

from ..bounds import MAX_FETCHED, SETTLE_SECONDS, SETTLERS_AT_ONCE
from ..peer import Peer
from .clock import ChainClock
from .desk import Desk

if TYPE_CHECKING:
    from wire.settlement import Word

log = logging.getLogger("hallmark.settler")


class EpochWork:
    """An ended epoch that has no root yet. `spent` says which receipts other epochs' roots pay."""

    def __init__(
        self, peer: Peer, desk: Desk, clock: ChainClock, facts: EpochFacts, spent: Callable[[], Collection[bytes]]
    ) -> None:
        self._peer, self._desk, self._clock, self._spent = peer, desk, clock, spent
        self.facts = facts
        said = peer.local.store.settling.word(facts.epoch)
        word, versions = said if said is not None else (None, ())
        self.machine = EpochMachine(
            facts.epoch, peer.local.key, peer.network.domain, facts.settlers, facts.times, word, versions
        )
        self._own: dict[tuple[bytes, ...], tuple[Proposal, tuple[SettlementLine, ...]]] = {}
        self._saying = trio.Lock()  # one word after the other
        self._signed = desk.receipts_of(versions)

    @property
    def signed(self) -> frozenset[bytes]:
        """The receipts (digests) of the root that this settler signed, and that may still be posted."""
        return self._signed if self.machine.locked is not None else frozenset()

    async def build(self, also: Collection[bytes] | None = None) -> Proposal:
        """What this settler finds over all it has; or, where others' versions are given, over those and what it had in
        time. In a thread: an epoch may have many receipts."""
        claims = self._desk.claims(self.facts.epoch, self._spent())
        if also is not None:
            in_time = self._desk.in_time(self.facts.times.cut, claims)
            claims = in_time | {v: claims[v] for v in also if v in claims}
        key = tuple(sorted(claims))
        if key not in self._own:
            settled = await trio.to_thread.run_sync(self.facts.settle, claims)
            tree = await trio.to_thread.run_sync(Tree.of, settled.lines)
            paid = set(settled.paid)
            versions = tuple(sorted(v for v, claim in claims.items() if claim.receipt in paid))
            proposal = Proposal(self.facts.root_of(settled, tree.root), versions)
            while len(self._own) >= 4:
                del self._own[next(iter(self._own))]
            self._own[key] = proposal, settled.lines
        return self._own[key][0]

    async def lines_of(self, proposal: Proposal) -> tuple[SettlementLine, ...]:
        """The lines of a root that this settler found; none where it did not find it, or lost receipts of it."""
        await self.build(proposal.versions)
        for found, lines in self._own.values():
            if found == proposal:
                return lines
        claims = self._desk.claims(self.facts.epoch, self._spent())
        some = {v: claims[v] for v in proposal.versions if v in claims}
        settled = await trio.to_thread.run_sync(self.facts.settle, some)
        return settled.lines if Tree.of(settled.lines).root == proposal.root.root else ()

    # The proposer

    async def take_turn(self, turn: int) -> Ready | None:
        """Compare, propose, certify: what can be posted, once it can. It ends with the turn."""
        times, ready = self.facts.times, list[Ready]()
        with trio.move_on_after(max(0.0, times.begins + (turn + 1) * times.length - self._clock.now())):
            with trio.move_on_after(times.length / 3):
                await self._each(self._others, self._compare)
            if found := await self._carry(turn, self.machine.propose(turn, await self.build())):
                ready.append(found)
        return ready[0] if ready else None

    async def _carry(self, turn: int, proposal: Proposal) -> Ready | None:
        """Have enough settlers agree to this, and then sign it."""
        machine = self.machine
        mine = await self.answer(machine.judge, turn, proposal)
        if not isinstance(mine, Agreed):
            return None
        machine.gone = await self._gone()
        carried, enough = trio.Event(), trio.Event()

        async def propose(address: bytes) -> None:
            if await self._propose(address, turn, proposal):
                carried.set()

        if not machine.hear_agreed(mine):
            await self._each(self._others, propose, until=carried)
        certificate = machine.certificate()
        if certificate is None:
            log.info("epoch %d, turn %d: too few settlers agreed to our root", machine.epoch, turn)
            return None
        own = await self.say(machine.certify(certificate))
        ready = machine.hear_signed(own) if isinstance(own, SignedRoot) else None

        async def certify(address: bytes) -> None:
            nonlocal ready
            ready = await self._certify(address, certificate) or ready
            if ready is not None:
                enough.set()

        if ready is None:
            await self._each(self._others, certify, until=enough)
        return ready

    async def _gone(self) -> set[bytes]:
        """Settlers with less than half of their stake left: the contract takes no root that one of them signed."""
        chain, stakes = self._peer.chain, self.facts.settlers.stakes
        assert chain is not None
        left = await each(lambda a: chain.call(chain.domain.contract, "Registry", "stakeOf", a), list(stakes))
        return {address for address, now in zip(stakes, left, strict=True) if now < stakes[address] // 2}

    @property
    def _others(self) -> list[bytes]:
        return [address for address in self.facts.settlers.order if address != self._peer.local.key.address]

    async def _each(
        self, settlers: Sequence[bytes], work: Callable[[bytes], Awaitable[None]], until: trio.Event | None = None
    ) -> None:
        """Talk to all of them, several at a time; `until` ends it early. Whoever fails is passed over."""
        limit = trio.CapacityLimiter(SETTLERS_AT_ONCE)

        async def one(address: bytes, left: list[int], scope: trio.CancelScope) -> None:
            async with limit:
                try:
                    await work(address)
                except RemoteError as error:
                    log.info("settler %s: %s", address.hex(), error)
            left[0] -= 1
            if not left[0]:
                scope.cancel()

        if not settlers:
            return
        async with trio.open_nursery() as nursery:
            left = [len(settlers)]
            for address in settlers:
                nursery.start_soon(one, address, left, nursery.cancel_scope)
            if until is not None:
                await until.wait()
                nursery.cancel_scope.cancel()

    def _open(self, address: bytes) -> AbstractAsyncContextManager[Channel]:
        public = self.facts.keys[address]
        peer_id = peer_id_of(public)
        self._peer.host.learn(peer_id, self._peer.addresses_of(public))
        return self._peer.host.exchange(peer_id, "settle")

    async def _compare(self, address: bytes) -> None:
        versions = sorted(self._desk.claims(self.facts.epoch, self._spent()))
        parts = parts_of(versions)
        async with self._open(address) as channel:
            for i, some in enumerate(parts):
                await channel.send(Compare(epoch=self.facts.epoch, part=i, parts=len(parts), digests=some))
            missing = await channel.receive(Missing, timeout=SETTLE_SECONDS)
        await self._fetch(address, missing.has)
        await self._give(address, missing.lacks)

    async def _propose(self, address: bytes, turn: int, proposal: Proposal) -> bool:
        """Ask one settler until it agrees, or does not; whether the agreements carry."""
        for _ in range(3):
            reply = await self._ask(address, turn, proposal)
            if isinstance(reply, Agreed):
                return self.machine.hear_agreed(reply)
            if isinstance(reply, SignedRoot):
                log.info("epoch %d: settler %s signed another root", self.facts.epoch, address.hex())
                return False
            await self._fetch(address, reply.has)  # for the next turn
            if not reply.lacks:
                return False
            await self._give(address, reply.lacks)
        return False

    async def _ask(self, address: bytes, turn: int, proposal: Proposal) -> Agreed | Missing | SignedRoot:
        parts = parts_of(proposal.versions)
        async with self._open(address) as channel:
            for i, some in enumerate(parts):
                await channel.send(Propose(root=proposal.root, turn=turn, part=i, parts=len(parts), digests=some))
            reply: Agreed | Missing | SignedRoot = await channel.receive(
                Agreed | Missing | SignedRoot, timeout=SETTLE_SECONDS
            )
        return reply

    async def _certify(self, address: bytes, certificate: Certified) -> Ready | None:
        async with self._open(address) as channel:
            await channel.send(certificate)
            return self.machine.hear_signed(await channel.receive(SignedRoot, timeout=SETTLE_SECONDS))

    async def _give(self, address: bytes, versions: Collection[bytes]) -> None:
        for version in versions:
            if (data := self._desk.file(version)) is not None:
                async with self._open(address) as channel:
                    await channel.send(Settle(file=decode(data, ReceiptFile)))
                    await channel.receive(Settled, timeout=SETTLE_SECONDS)

    async def _fetch(self, address: bytes, versions: Sequence[bytes]) -> None:
        for version in [v for v in versions if not self._desk.has(v)][:MAX_FETCHED]:
            async with self._open(address) as channel:
                await channel.send(Fetch(version=version))
                given = await channel.receive(Settle, timeout=SETTLE_SECONDS)
            await self._desk.take(given.file, peer_id_of(self.facts.keys[address]), asked=True)

    # Everybody

    @property
    def versions(self) -> set[bytes]:
        """All that this epoch's revenue may pay, as far as it is here."""
        return set(self._desk.claims(self.facts.epoch, self._spent()))

    async def judge(self, turn: int, root: EpochRoot, versions: tuple[bytes, ...]) -> Agreed | Missing | SignedRoot:
        """The answer to another settler's proposal."""
        return await self.answer(self.machine.judge, turn, Proposal(root, versions))

    async def answer(
        self,
        judge: Callable[[int, Proposal, Proposal, Collection[bytes], int], Said],
        turn: int,
        proposal: Proposal,
    ) -> Agreed | Missing | SignedRoot:
        """The answer to a proposal, which may be our own; its word is on disk. RemoteError says why there is none."""
        own = await self.build(proposal.versions)
        known = self._desk.claims(self.facts.epoch, self._spent())
        return await self.say(judge(turn, proposal, own, known, self._clock.now()))

    async def say(self, said: Said) -> Agreed | Missing | SignedRoot:
        """What to answer, once it is on disk. RemoteError where nothing may be said."""
        if said.reply is None:
            raise RemoteError(ErrorCode.REFUSED, said.why)
        if said.word is not None and not await self._write(said.word, said.versions):
            raise RemoteError(ErrorCode.REFUSED, "this settler said another thing of that epoch before")
        return said.reply

    async def _write(self, word: Word, versions: Sequence[bytes]) -> bool:
        store = self._peer.local.store
        async with self._saying:
            if not await store.in_thread(store.settling.say, word, versions):
                return False
            self._signed = self._desk.receipts_of(versions)
            return True


def parts_of(versions: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """As many as one message may name, at least one part."""
    ordered, most = sorted(versions), MAX_RECEIPTS_NAMED
    return [tuple(ordered[at : at + most]) for at in range(0, len(ordered), most)] or [()]


async def gather(channel: Channel, first: Compare | Propose) -> tuple[bytes, ...]:
    """The names of all parts, of which the first is here. RemoteError when they do not come in their order."""
    found, part = list(first.digests), first
    if part.part:
        raise RemoteError(ErrorCode.BAD_RECORD, "it does not begin with its first part", retry=False)
    while part.part < part.parts - 1:
        if len(found) > MAX_RECEIPTS_NAMED * 64:
            raise RemoteError(ErrorCode.BAD_RECORD, "it names more receipts than an epoch has", retry=False)
        following = await channel.receive(type(first), timeout=SETTLE_SECONDS)
        if (following.part, following.parts) != (part.part + 1, first.parts):
            raise RemoteError(ErrorCode.BAD_RECORD, "its parts do not follow each other", retry=False)
        part = following
        found += part.digests
    if any(a >= b for a, b in pairwise(found)):
        raise RemoteError(ErrorCode.BAD_RECORD, "its receipts are not in order, or one stands twice", retry=False)
    return tuple(found)
