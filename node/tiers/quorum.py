"""Rung `quorum` in a node: the provider convenes the committee; who asks does when the proof is kept back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from typing_extensions import override

from verify.sealing import sealed
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.inference import SignedReceipt
from wire.tensors import Tensor

from ..ballots import count_ballots
from ..clock import now_ms
from ..convening import Convening, convening
from ..fraud.meeting import note
from ..peer import Peer
from ..ready import ReadyModel
from .rung import Evidence, Giver, Job, NotProved, Wanted


def offered(peer: Peer, _: ReadyModel) -> bool:
    """Whether anybody but this provider may judge."""
    try:
        verifiers = peer.network.at(now_ms()).verifiers
    except RecordError:  # the network file's only epoch has not begun
        return False
    return any(verifier.key != peer.local.key.public for verifier in verifiers)


class _Committee(Giver):
    def __init__(self, round_: Convening) -> None:
        self._round = round_

    @override
    def answer(self, receipt: SignedReceipt, outputs: Sequence[Tensor]) -> None:
        self._round.answer(receipt, outputs)

    @override
    async def evidence(self) -> Evidence:
        outcome = await self._round.outcome()
        return Evidence(outcome.evidence, outcome.ballots, outcome.reason)


@asynccontextmanager
async def give(job: Job) -> AsyncIterator[Giver]:
    """The committee executes beside the provider, or checks its tokens after it. RemoteError when nobody may judge."""
    try:
        round_ = convening(job.peer, job.ready.manifest, job.request, job.inputs)
        async with round_ as under_way:
            yield _Committee(under_way)
    except RecordError as error:  # the network file is the reason, not this request
        raise RemoteError(ErrorCode.UNSUPPORTED, str(error)) from error


async def get(wanted: Wanted) -> Evidence:
    """The provider's evidence, or the committee's own when it gave none. NotProved when the committee refused.

    RemoteError when it came to no decision.
    """
    if wanted.certificate.quorum is not None:
        return Evidence(wanted.certificate.quorum, wanted.ballots)
    peer, request, receipt, reason = wanted.peer, wanted.request, wanted.receipt, wanted.reason
    heard = wanted.ballots
    answer = sealed(wanted.manifest, wanted.outputs)
    try:
        said = count_ballots(peer.network, request, receipt, wanted.ballots, answer)
        if not said.refused:  # a rejection that is shown needs no second opinion; anything else is asked anew
            async with convening(peer, wanted.manifest, request, wanted.inputs) as round_:
                round_.answer(receipt, wanted.outputs)
                outcome = await round_.outcome()
            if outcome.evidence is not None:
                return Evidence(outcome.evidence, outcome.ballots)
            said = count_ballots(peer.network, request, receipt, outcome.ballots, answer)
            reason, heard = outcome.reason, (*heard, *outcome.ballots)
    except RecordError as error:  # the network file lists nobody who may judge: this offer cannot be proved
        raise RemoteError(ErrorCode.UNSUPPORTED, str(error)) from error
    await note(peer, request, [receipt], heard)
    if said.refused and said.same:
        raise NotProved(
            "the committee has the same outputs and refuses them: they are not finite numbers", dishonest=False
        )
    if said.refused:
        raise NotProved(f"{said.rejected} of {said.size} verifiers rejected it")
    raise RemoteError(ErrorCode.REJECTED, f"the committee came to no decision: {reason}")
