"""What a settler sends to the chain: openings, roots, challenges, demanded lines, ends of windows, its claims.

Any settler may do any of it, and one is enough: so each waits its turn, and whoever comes too late is refused by the
contract before it costs anything.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import trio

from settle.chain import Block, Chain, Refused
from settle.challenges import Challenge, Known, challenges, struct_of, unseen, words_of
from settle.epoch import Ready
from settle.lines import NO_RECEIPT
from settle.tree import Tree
from wire.inference import SignedReceipt
from wire.settlement import EpochRoot, ProvedLines

from ..bounds import CHORE_RETRY
from ..peer import Peer
from .book import Kept

log = logging.getLogger("hallmark.settler")


class Chores:
    """What one settler sends. Without an unlocked account it sends nothing. What was refused is tried again later: it
    may have been too early."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._done: set[str] = set()
        self._again: dict[str, tuple[float, float]] = {}  # when (trio's clock), and the pause after that

    async def do(self, purpose: str, function: str, *args: Any) -> bool:
        """Send this, once; whether it went through. ChainError when the chain cannot be reached."""
        chain, sender = self._peer.chain, self._peer.sender
        when, pause = self._again.get(purpose, (0.0, CHORE_RETRY[0]))
        if chain is None or sender is None or purpose in self._done or trio.current_time() < when:
            return False
        self._again[purpose] = trio.current_time() + pause, min(2 * pause, CHORE_RETRY[1])
        try:
            await sender.send(purpose, chain.spec.epochs, "Epochs", function, *args)
        except Refused as error:
            log.info("%s: %s", purpose, error)
            return False
        self._again.pop(purpose)
        self._done.add(purpose)
        log.info("%s: done", purpose)
        return True

    @property
    def can_send(self) -> bool:
        """Whether an account is unlocked here."""
        return self._peer.sender is not None

    async def open(self, epoch: int) -> None:
        """Record the epoch's beacon and block."""
        await self.do(f"open epoch {epoch}", "open")

    async def post(self, ready: Ready) -> bool:
        """Post a root that more than two thirds of the stake signed."""
        root = ready.root
        return await self.do(
            f"post epoch {root.epoch} root {root.root.hex()} {root.count} {root.total}", "post", root.epoch, root.root,
            root.count, int(root.total), root.receipts, list(ready.signers), list(ready.signatures),
        )  # fmt: skip

    async def finalise(self, epoch: int, root: bytes) -> bool:
        """The window is over."""
        return await self.do(f"finalise epoch {epoch} root {root.hex()}", "finalise", epoch)

    async def rollover(self, epoch: int, into: int) -> None:
        """Let the settlers of a later epoch sign this one's root."""
        await self.do(f"roll epoch {epoch} into {into}", "rollover", epoch)

    async def challenge(self, kept: Kept, known: Known) -> bool:
        """Show what is wrong with a root, if anything can be shown; whether it fell. Its signers are then punished."""
        tree = Tree.of(kept.lines)
        for found in challenges(kept.root, kept.lines, tree, known):
            if await self._challenged(kept.root, found):
                return True
        for index in unseen(kept.lines, known):
            await self.demand(kept.root, index)
        return False

    async def _challenged(self, root: EpochRoot, found: Challenge) -> bool:
        log.warning("epoch %d: the root that was posted is wrong: %s", root.epoch, found.function)
        return await self.do(f"{found.function} epoch {root.epoch} root {root.root.hex()}", found.function, *found.args)

    async def demand(self, root: EpochRoot, index: int) -> None:
        """Ask in public for a line that nobody showed us, against the contract's bond."""
        chain, sender = self._peer.chain, self._peer.sender
        if chain is None or sender is None:
            return
        bond = await chain.call(chain.spec.epochs, "Epochs", "demandBond")
        purpose = f"demand epoch {root.epoch} root {root.root.hex()} line {index}"
        approval = chain.spec.token, "HallmarkToken", "approve", chain.spec.epochs, int(bond)
        await sender.send(f"bond for {purpose}", *approval)
        await self.do(purpose, "demand", root.epoch, index)

    async def punish(self, epoch: int, root: bytes, count: int, total: int, signers: Collection[bytes]) -> bool:
        """Slash those who signed a root that fell."""
        purpose = f"punish epoch {epoch} root {root.hex()}"
        return await self.do(purpose, "punish", epoch, root, count, total, list(signers))

    async def show(self, kept: Kept, index: int, receipt: SignedReceipt | None) -> None:
        """Show a line that somebody demanded."""
        line = kept.lines[index]
        if receipt is None and line.receipt != NO_RECEIPT:
            return  # another settler may have it
        struct = struct_of(receipt.receipt) if receipt else _NOTHING
        signature = receipt.signature if receipt else b""
        await self.do(
            f"show epoch {kept.root.epoch} root {kept.root.root.hex()} line {index}", "show", kept.root.epoch,
            words_of(line), list(kept.path(line)), struct, signature,
        )  # fmt: skip

    async def fail(self, epoch: int, root: bytes, index: int) -> bool:
        """Bring down a root whose demanded line was not shown in time."""
        return await self.do(f"fail epoch {epoch} root {root.hex()} line {index}", "fail", epoch, index)

    async def claim(self, root: EpochRoot, run: ProvedLines) -> bool:
        """Have one run of lines paid."""
        return await self.do(purpose_of(root, run), "claim", *claim_args(root, run))


_NOTHING = (
    bytes(32), bytes(32), bytes(20), bytes(20), bytes(32), bytes(32), bytes(32), bytes(32), 0, 0, 0, 0, 0, 0, 0, 0,
)  # fmt: skip


def purpose_of(root: EpochRoot, run: ProvedLines) -> str:
    """What a claim is written down as."""
    first, last = run.first, run.last
    return f"claim epoch {root.epoch} root {root.root.hex()} lines {first.index} to {last.index}"


def claim_args(root: EpochRoot, run: ProvedLines) -> tuple[Any, ...]:
    """A claim as the contract takes it."""
    return root.epoch, words_of(run.first), list(run.first_path), words_of(run.last), list(run.last_path)


async def is_paid(chain: Chain, root: EpochRoot, run: ProvedLines, at: Block | None = None) -> bool:
    """Whether the contract paid these lines already."""
    said = await chain.call(
        chain.spec.epochs, "Epochs", "stretchOf", root.epoch, run.first.account, int(run.first.role),
        block=at.number if at else None,
    )  # fmt: skip
    first, end = said.values()
    return bool(first <= run.first.index and run.last.index < end)
