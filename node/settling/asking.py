"""Asking settlers: who they are, which lines pay an account, all lines of an epoch, where receipts were settled."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import trio

from settle.chain import Chain
from settle.ledger import EpochFacts
from settle.stake import SETTLER, Standing
from settle.tree import Tree, leaf_of, root_from
from wire.errors import ErrorCode, RemoteError
from wire.keys import peer_id_of
from wire.settlement import (
    MAX_RECEIPTS_NAMED,
    AskLines,
    AskSettled,
    AskTree,
    EpochRoot,
    Lines,
    ProvedLines,
    SettledIn,
    SettlementLine,
)
from wire.settlement import Tree as SomeLines

from ..bounds import SETTLE_SECONDS, SETTLERS_KNOWN_SECONDS, TREE_SECONDS
from ..peer import Peer
from .book import Kept

log = logging.getLogger("hallmark.settler")

T = TypeVar("T")


class Settlers:
    """Who settles now, by public key, with the stake of each: asked of the chain, and believed for a while."""

    def __init__(self, chain: Chain) -> None:
        self._chain, self._standing = chain, Standing(chain, SETTLER)
        self._stakes: dict[bytes, int] = {}
        self._asked = -SETTLERS_KNOWN_SECONDS

    async def stakes(self) -> Mapping[bytes, int]:
        """Those of a block that is relied on. ChainError when the chain says nothing."""
        if trio.current_time() - self._asked >= SETTLERS_KNOWN_SECONDS or not self._stakes:
            head = await self._chain.head()
            if head.number > 0:
                self._stakes = await self._standing.at(head.number - 1, head)
            self._asked = trio.current_time()
        return self._stakes


async def ask_around(peer: Peer, settlers: Sequence[bytes], work: Callable[[str], Awaitable[T]]) -> T:
    """What the first settler says that answers; they are asked in any order. RemoteError names why none did."""
    failures: list[str] = []
    for public in random.sample(list(settlers), len(settlers)):
        peer_id = peer_id_of(public)
        if public == peer.local.key.public and "settler" not in peer.roles:
            continue
        peer.host.learn(peer_id, peer.addresses_of(public))
        try:
            return await work(peer_id)
        except RemoteError as error:
            failures.append(f"{peer_id}: {error}")
    raise RemoteError(ErrorCode.NOT_FOUND, "; ".join(failures) or "nobody settles on this network")


async def ask_lines(peer: Peer, settlers: Sequence[bytes], root: EpochRoot, account: bytes) -> tuple[ProvedLines, ...]:
    """An account's lines under the root that stands, proved."""

    async def ask(peer_id: str) -> tuple[ProvedLines, ...]:
        async with peer.host.exchange(peer_id, "settle") as channel:
            await channel.send(AskLines(epoch=root.epoch, account=account))
            said = await channel.receive(Lines, timeout=SETTLE_SECONDS)
        for run in said.runs:
            ends = (run.first, run.first_path), (run.last, run.last_path)
            ours = run.first.account == run.last.account == account and run.first.role == run.last.role
            if not ours or any(root_from(leaf_of(line), path) != root.root for line, path in ends):
                raise RemoteError(ErrorCode.WRONG_DATA, "its lines are not in the root that stands")
        return said.runs

    return await ask_around(peer, settlers, ask)


async def whole_tree(peer: Peer, facts: EpochFacts, root: EpochRoot) -> Kept | None:
    """All lines of a root, from any of its epoch's settlers; None when none has them."""

    async def ask(peer_id: str) -> Kept:
        lines: list[SettlementLine] = []
        async with peer.host.exchange(peer_id, "settle") as channel:
            while len(lines) < root.count:
                await channel.send(AskTree(epoch=root.epoch, first=len(lines)))
                said = await channel.receive(SomeLines, timeout=SETTLE_SECONDS)
                if not said.lines:
                    break
                lines += said.lines
        if len(lines) != root.count or (await trio.to_thread.run_sync(Tree.of, lines)).root != root.root:
            raise RemoteError(ErrorCode.WRONG_DATA, "its lines are not those of the root that stands")
        return Kept(root, lines)

    others = [key for key in facts.keys.values() if key != peer.local.key.public]
    with trio.move_on_after(TREE_SECONDS):
        try:
            return await ask_around(peer, others, ask)
        except RemoteError as error:
            log.info("the lines of epoch %d: %s", root.epoch, error)
    return None


async def ask_settled(peer: Peer, settlers: Sequence[bytes], receipts: Sequence[bytes]) -> dict[bytes, int]:
    """In which epochs these receipts were settled, as far as one settler knows."""
    some = tuple(receipts[:MAX_RECEIPTS_NAMED])

    async def ask(peer_id: str) -> dict[bytes, int]:
        async with peer.host.exchange(peer_id, "settle") as channel:
            await channel.send(AskSettled(receipts=some))
            said = await channel.receive(SettledIn, timeout=SETTLE_SECONDS)
        if len(said.epochs) != len(some):
            raise RemoteError(ErrorCode.BAD_RECORD, "it answers another question")
        return {digest: epoch for digest, epoch in zip(some, said.epochs, strict=True) if epoch is not None}

    return await ask_around(peer, settlers, ask)
