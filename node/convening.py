"""Convening a committee: the thin code around `verify.round`, one exchange with each member side by side.

The provider convenes as soon as the payer's request arrives, so that committee and provider execute at once. The payer
can convene the very same committee when the provider keeps its proof back.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from verify import (
    AnswerReady,
    CallMember,
    Effect,
    Event,
    MemberCommitted,
    MemberFailed,
    MemberJudged,
    Outcome,
    Outputs,
    Phase,
    Round,
    SendReceipt,
    TimePassed,
)
from verify.sealing import sealed, unsealed
from wire.auditing import Appeal
from wire.cid import content_hash
from wire.committee import Committed, Convene, Judge, Judged, Shown
from wire.errors import RecordError, RemoteError
from wire.generation import SCORES
from wire.inference import SignedReceipt, SignedRequest
from wire.keys import peer_id_of
from wire.manifest import Manifest
from wire.tensors import Tensor

from .bounds import LARGE_OUTPUTS
from .clock import now_ms
from .peer import Peer
from .signal import Signal

log = logging.getLogger("hallmark.committee")


@dataclass(frozen=True)
class _Answer:
    receipt: SignedReceipt
    outputs: Sequence[Tensor]
    sealed: Outputs  # what of them members seal of their own


class Convening:
    """One round under way. Give it the answer when there is one, then wait for the outcome."""

    def __init__(
        self,
        peer: Peer,
        manifest: Manifest,
        request: SignedRequest,
        inputs: Sequence[Tensor],
        nursery: trio.Nursery,
        appeal: Appeal | None = None,
    ) -> None:
        """RecordError when the network lists nobody who may judge."""
        self._peer = peer
        self._manifest = manifest
        self._request = request
        self._inputs = inputs
        self._appeal = appeal
        self._nursery = nursery  # each exchange with a member is a task of its own
        self._round = Round(peer.network, request, now_ms(), appeal)
        self._answer: _Answer | None = None
        self._shown = {place.key: trio.Event() for place in self._round.committee.places}
        self._changed = Signal()
        self._closed = False

    def start(self) -> None:
        """Call the members, so that they execute while the provider does; a generator's have to wait for its tokens."""
        if self._manifest.interface != "generate":
            self._do(self._round.begin(now_ms()))

    def answer(self, receipt: SignedReceipt, outputs: Sequence[Tensor]) -> None:
        """The answer is ready; every member that has committed sees it now, the others when they have."""
        self._answer = _Answer(receipt, outputs, sealed(self._manifest, outputs))
        if self._manifest.interface == "generate":
            self._do(self._round.begin(now_ms()))
        self._tell(AnswerReady(receipt, self._answer.sealed))

    async def outcome(self) -> Outcome:
        """Wait until nothing is left to wait for; the round is then closed."""
        while not self._round.over:
            await self._changed.wait(max(0.0, (self._round.due_ms - now_ms()) / 1000))
            self._tell(TimePassed())
        self._closed = True
        return self._round.finish()

    def _tell(self, event: Event) -> None:
        if self._closed:
            return
        self._do(self._round.handle(event, now_ms()))
        self._changed.notify()

    def _do(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, CallMember):
                self._nursery.start_soon(self._sit, effect.member)
            elif isinstance(effect, SendReceipt):
                self._shown[effect.member].set()
            else:
                log.warning("verifier %s said something void: %s", peer_id_of(effect.member), effect.reason)

    def _show(self) -> tuple[Shown | None, Sequence[Tensor]]:
        """What a member needs of a generator's answer before it begins, and its tensors; nothing of any other's."""
        if self._manifest.interface != "generate":
            return None, ()
        assert self._answer is not None
        tensors = unsealed(self._answer.outputs)
        scores = content_hash(next(t.data for t in self._answer.outputs if t.name == SCORES.name))
        headers = tuple(t.header for t in tensors)
        return Shown(receipt=self._answer.receipt, outputs=headers, scores=scores), tensors

    async def _sit(self, member: bytes) -> None:
        peer_id, most = peer_id_of(member), (self._round.deadline_ms - now_ms()) / 1000
        try:
            if addresses := self._peer.addresses_of(member):
                self._peer.host.learn(peer_id, addresses)
            async with self._peer.host.exchange(peer_id, "committee") as channel:
                shown, tensors = self._show()
                headers = tuple(t.header for t in self._inputs)
                convene = Convene(request=self._request, inputs=headers, appeal=self._appeal, shown=shown)
                await channel.send(convene, (*self._inputs, *tensors))
                committed = await channel.receive(Committed, timeout=most)
                self._tell(MemberCommitted(member, committed.commit, committed.reason))
                index = self._round.committee.index_of(member)
                if index is None or self._round.phases[index] not in (Phase.SEALED, Phase.JUDGING):
                    return
                await self._shown[member].wait()
                assert self._answer is not None
                answer = self._answer
                judge = Judge(receipt=answer.receipt, outputs=tuple(t.header for t in answer.outputs))
                await channel.send(judge, answer.outputs)
                judged = await channel.receive(Judged, timeout=most)
                if judged.reveal.opening is not None and answer.sealed.size > LARGE_OUTPUTS:
                    await trio.to_thread.run_sync(answer.sealed.measure)  # which the loop would stand still for
                self._tell(MemberJudged(member, judged.reveal, judged.vote, judged.reason))
        except (RemoteError, RecordError) as error:
            log.info("verifier %s took no part: %s", peer_id, error)
            self._tell(MemberFailed(member, str(error)))


@asynccontextmanager
async def convening(
    peer: Peer, manifest: Manifest, request: SignedRequest, inputs: Sequence[Tensor], appeal: Appeal | None = None
) -> AsyncIterator[Convening]:
    """A round that runs while the block does; leaving the block ends every exchange."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            under_way = Convening(peer, manifest, request, inputs, nursery, appeal)
            under_way.start()
            yield under_way
        except Exception as error:  # carried around the nursery, which would wrap it into a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure:
        raise failure
