"""Convening a committee: the thin code around `verify.round`, one exchange with each member side by side.

The provider convenes as soon as the payer's request arrives, so that committee and provider execute at once. The payer
can convene the very same committee when the provider keeps its proof back.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from verify import (
    AnswerReady,
    Event,
    Faulted,
    MemberCommitted,
    MemberFailed,
    MemberJudged,
    Outcome,
    Phase,
    Round,
    SendReceipt,
    TimePassed,
    committee_for,
)
from wire.committee import Committed, Convene, Judge, Judged
from wire.errors import RecordError, RemoteError
from wire.inference import SignedReceipt, SignedRequest
from wire.keys import peer_id_of
from wire.network import Verifier
from wire.tensors import Tensor

from .clock import now_ms
from .peer import Peer
from .signal import Signal

log = logging.getLogger("hallmark.committee")


class Convening:
    """One round under way. Give it the answer when there is one, then wait for the outcome."""

    def __init__(self, peer: Peer, request: SignedRequest, inputs: Sequence[Tensor]) -> None:
        """RecordError when the network lists nobody who may judge."""
        self._peer = peer
        self._request = request
        self._inputs = inputs
        self._committee = committee_for(peer.network, request.request)
        self._round = Round(peer.network, self._committee, request, now_ms())
        self._answer: tuple[SignedReceipt, Sequence[Tensor]] | None = None
        self._shown = {member.key: trio.Event() for member in self._committee.members}
        self._changed = Signal()
        self._closed = False

    def answer(self, receipt: SignedReceipt, outputs: Sequence[Tensor]) -> None:
        """The answer is ready; every member that has committed sees it now, the others when they have."""
        self._answer = (receipt, outputs)
        self._tell(AnswerReady(receipt))

    async def outcome(self) -> Outcome:
        """Wait until nothing is left to wait for; the round is then closed."""
        while not self._round.over:
            await self._changed.wait(max(0.0, (self._round.due_ms - now_ms()) / 1000))
            self._tell(TimePassed())
        self._closed = True
        return self._round.finish()

    def start(self, nursery: trio.Nursery) -> None:
        """Begin an exchange with each member."""
        for member in self._committee.members:
            nursery.start_soon(self._sit, member)

    def _tell(self, event: Event) -> None:
        if self._closed:
            return
        for effect in self._round.handle(event, now_ms()):
            if isinstance(effect, SendReceipt):
                self._shown[effect.member].set()
            elif isinstance(effect, Faulted):
                log.warning("verifier %s said something void: %s", peer_id_of(effect.member), effect.reason)
        self._changed.notify()

    async def _sit(self, member: Verifier) -> None:
        peer_id, most = peer_id_of(member.key), (self._round.deadline_ms - now_ms()) / 1000
        try:
            if addresses := self._peer.addresses_of(member.key):
                self._peer.host.learn(peer_id, addresses)
            async with self._peer.host.exchange(peer_id, "committee") as channel:
                convene = Convene(request=self._request, inputs=tuple(t.header for t in self._inputs))
                await channel.send(convene, self._inputs)
                committed = await channel.receive(Committed, timeout=most)
                self._tell(MemberCommitted(member.key, committed.commit, committed.reason))
                index = self._committee.index_of(member.key)
                if index is None or self._round.phases[index] not in (Phase.SEALED, Phase.JUDGING):
                    return
                await self._shown[member.key].wait()
                assert self._answer is not None
                receipt, outputs = self._answer
                await channel.send(Judge(receipt=receipt, outputs=tuple(t.header for t in outputs)), outputs)
                judged = await channel.receive(Judged, timeout=most)
                self._tell(MemberJudged(member.key, judged.reveal, judged.vote, judged.reason))
        except (RemoteError, RecordError) as error:
            log.info("verifier %s took no part: %s", peer_id, error)
            self._tell(MemberFailed(member.key, str(error)))


@asynccontextmanager
async def convening(peer: Peer, request: SignedRequest, inputs: Sequence[Tensor]) -> AsyncIterator[Convening]:
    """A round that runs while the block does; leaving the block ends every exchange."""
    under_way = Convening(peer, request, inputs)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        under_way.start(nursery)
        try:
            yield under_way
        except Exception as error:  # carried around the nursery, which would wrap it into a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure:
        raise failure
