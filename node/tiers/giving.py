"""A provider's side of the ladder: which tiers it offers at which price, and the evidence of one answer under way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import msgspec
import trio

from engine import Execution
from wire.canonical import Amount, encode
from wire.certificate import Certificate
from wire.inference import Proof, SignedReceipt
from wire.offer import Terms
from wire.tensors import Tensor
from wire.text import one_line
from wire.tier import TIERS, Rung, Tier, rungs_of

from ..peer import Peer
from ..ready import ReadyModel
from . import quorum, sampled, tee, zk
from .rung import Giver, Job


@dataclass(frozen=True)
class _Given:
    """A rung above `signed`. `offered`: whether it can be had here, for this model; `give`: what the provider does."""

    offered: Callable[[Peer, ReadyModel], bool]
    give: Callable[[Job], AbstractAsyncContextManager[Giver]] | None = None


_GIVEN: dict[Rung, _Given] = {
    "sampled": _Given(sampled.offered),
    "quorum": _Given(quorum.offered, quorum.give),
    "tee": _Given(tee.offered, tee.give),
    "zk": _Given(zk.offered, zk.give),
}


def terms(peer: Peer, ready: ReadyModel) -> tuple[Terms, ...]:
    """Every tier in which this provider answers for the model: its price, and what its proofs add to an answer."""
    can = {"signed"} | {rung for rung, given in _GIVEN.items() if given.offered(peer, ready)}
    return tuple(_terms(peer, ready, tier) for tier in TIERS if can.issuperset(rungs_of(tier)))


def _terms(peer: Peer, ready: ReadyModel, tier: Tier) -> Terms:
    us, size = peer.costs.of(ready.model, tier)
    config = peer.local.config
    return Terms(
        tier=tier,
        price=Amount(config.tier_price.get(tier, config.price)),
        added_us=us,
        added_bytes=size,
        per_1k_tokens=Amount(config.price_per_1k if ready.manifest.interface == "generate" else 0),
    )


def is_complete(tier: Tier, proof: Proof | None) -> bool:
    """Whether a proof has every part that a provider gives in this tier; None where the receipt is all of it."""
    given = [rung for rung in rungs_of(tier) if rung in _GIVEN and _GIVEN[rung].give]
    return all(proof is not None and getattr(proof.certificate, rung) is not None for rung in given)


class Proving:
    """The evidence of one answer under way."""

    def __init__(self, job: Job, givers: dict[Rung, Giver]) -> None:
        self._job, self._givers = job, givers
        self._receipt: SignedReceipt | None = None

    async def execute(self, execute: Callable[[], Awaitable[Execution]]) -> Execution:
        """The execution that is answered with."""
        for giver in self._givers.values():
            execute = _within(giver, execute)
        return await execute()

    def answer(self, receipt: SignedReceipt, outputs: Sequence[Tensor]) -> None:
        """The answer is signed: work on its evidence begins before its client has it."""
        self._receipt = receipt
        for giver in self._givers.values():
            giver.answer(receipt, outputs)

    async def proof(self) -> Proof | None:
        """All evidence, as the client is told it, once it has the answer; None in a tier where the receipt is all that
        a provider gives. What it took is noted for the next offer."""
        if not self._givers:
            return None
        assert self._receipt is not None
        peer, tier, began = self._job.peer, self._job.tier, trio.current_time()
        digest = self._receipt.receipt.digest(peer.network.domain)
        found = {rung: await giver.evidence() for rung, giver in self._givers.items()}
        certificate = Certificate(tier=tier, receipt=digest)
        proof = Proof(
            certificate=msgspec.structs.replace(certificate, **{rung: piece.part for rung, piece in found.items()}),
            ballots=tuple(ballot for piece in found.values() for ballot in piece.ballots),
            reason=one_line("; ".join(piece.reason for piece in found.values() if piece.reason)),
        )
        if all(piece.part for piece in found.values()):  # what ends in nothing says nothing of what a proof takes
            took = int((trio.current_time() - began) * 1e6) + sum(g.proved_us for g in self._givers.values())
            peer.costs.note(self._job.ready.model, tier, took, len(encode(proof)))
        return proof


def _within(giver: Giver, execute: Callable[[], Awaitable[Execution]]) -> Callable[[], Awaitable[Execution]]:
    return lambda: giver.execute(execute)


@asynccontextmanager
async def proving(job: Job) -> AsyncIterator[Proving]:
    """The evidence for one request, under way while the block runs. RemoteError when it can't be had here."""
    async with AsyncExitStack() as stack:
        givers: dict[Rung, Giver] = {}
        for rung in rungs_of(job.tier):
            if (given := _GIVEN.get(rung)) and given.give:
                givers[rung] = await stack.enter_async_context(given.give(job))
        yield Proving(job, givers)
