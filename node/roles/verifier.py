"""The verifier: sits on the committees it is drawn for. It executes the model itself, commits, and only then judges."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio
from msgspec.structs import replace

from p2p import Channel
from verify.agreement import to_execute
from verify.member import Member, ProviderEquivocation
from wire.auditing import AskAudit
from wire.canonical import decode, encode
from wire.committee import AskBallot, BallotReply, Committed, CommitteeRequest, Convene, Judge, Shown
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.fraud import TwoReceipts
from wire.keys import address_of, public_of
from wire.tensors import Tensor, TensorHeader, check_headers, tensor_set

from ..auditing.serving import AuditDesk
from ..bounds import LARGE_OUTPUTS, LOADING_SECONDS, MAX_OPEN_ROUNDS, MAX_SEEN_REQUESTS, REST_MS, TENSOR_SECONDS
from ..clock import now_ms
from ..cosigning import serve_cosign
from ..fraud.keeping import keep
from ..keptballots import KeptBallots
from ..peer import Peer
from ..replay import ReplayGuard

log = logging.getLogger("hallmark.verifier")


class Seat:
    """One request this verifier sits on; the same for every convener, so that it commits and votes once."""

    def __init__(self, member: Member, early: float) -> None:
        self.member = member
        self.starts = trio.current_time() + early  # when the request's own time has come
        self.committed: Committed | None = None
        self.executing = trio.Lock()  # held by who executes; should its convener leave, by the next one's task
        self.judging = trio.Lock()


class VerifierRole:
    """The role. `run` until cancelled."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._guard = ReplayGuard(peer.started_ms, MAX_SEEN_REQUESTS)
        self._seats: dict[bytes, Seat] = {}
        self._executing = 0  # seats whose model runs, or whose time has not come
        self._audits = AuditDesk(peer)
        self._ballots = KeptBallots(peer.local.store)

    async def run(self) -> None:
        """Answer conveners and payers; forget what is over."""
        self._peer.host.handle("committee", self._serve)
        self._peer.host.handle("cosign", lambda channel: serve_cosign(channel, self._peer))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ballots.run)
            while True:
                await trio.sleep(30)
                now = now_ms()
                self._seats = {d: s for d, s in self._seats.items() if s.member.deadline_ms > now}
                await self._peer.local.store.in_thread(self._peer.local.store.ballots.prune, now)

    async def _serve(self, channel: Channel) -> None:
        question = await channel.receive(CommitteeRequest, timeout=TENSOR_SECONDS)
        if isinstance(question, Convene):
            with self._peer.work():
                await self._sit(channel, question)
        elif isinstance(question, AskAudit):
            await self._audits.answer(channel, question)
        elif isinstance(question, AskBallot):
            await self._tell_ballot(channel, question)
        else:
            raise RemoteError(ErrorCode.BAD_RECORD, "a judgement was asked before a committee was convened")

    async def _sit(self, channel: Channel, convene: Convene) -> None:
        """One convener's exchange: commit, see the answer, vote."""
        request = convene.request.request
        convener = address_of(public_of(channel.peer))
        if convener not in (request.provider, request.payer):
            raise RemoteError(ErrorCode.REFUSED, "only who was asked, or who asked, convenes this committee")
        member = Member(self._peer.network, self._peer.local.key, convene.request, now_ms(), convene.appeal)
        to_show = convene.shown.outputs if convene.shown else ()
        with self._peer.held.inputs(channel.peer, (*convene.inputs, *to_show)):
            inputs = await channel.receive_tensors(convene.inputs, timeout=TENSOR_SECONDS)
            shown = await channel.receive_tensors(to_show, timeout=TENSOR_SECONDS)
            if tensor_set(inputs).hash() != request.inputs:
                raise RemoteError(ErrorCode.REFUSED, "the inputs are not those that the request was signed for")
            seat = self._seats.get(member.digest)
            if seat is None:
                if len(self._seats) >= MAX_SEEN_REQUESTS or self._executing >= MAX_OPEN_ROUNDS:
                    text = "this verifier sits on too many committees now"
                    raise RemoteError(ErrorCode.OVERLOADED, text, after_ms=REST_MS)
                early = self._guard.admit(replace(request, deadline_ms=member.deadline_ms), member.digest, now_ms())
                seat = self._seats[member.digest] = Seat(member, early)
            with channel.while_wanted():
                async with self._alone(seat):
                    if seat.committed is None:
                        await trio.sleep_until(seat.starts)
                        async with self._accusing(convener):
                            await self._execute(seat, inputs, convene.shown, shown)
        assert seat.committed is not None
        await channel.send(seat.committed)
        if seat.committed.reason:
            return  # it abstains: nothing will be shown to it
        judge = await channel.receive(Judge, timeout=max(1.0, (member.deadline_ms - now_ms()) / 1000))
        outputs = await channel.receive_tensors(judge.outputs, timeout=TENSOR_SECONDS)
        async with seat.judging, self._accusing(convener):
            decide = partial(seat.member.judge, judge.receipt, outputs, now_ms())
            judged = await trio.to_thread.run_sync(decide) if _are_large(judge.outputs) else decide()
            self._keep(seat)
        await channel.send(judged)

    @asynccontextmanager
    async def _alone(self, seat: Seat) -> AsyncIterator[None]:
        """One convener's task at a time executes for this seat; the seat counts among those that do."""
        async with seat.executing:
            self._executing += 1
            try:
                yield
            finally:
                self._executing -= 1

    @asynccontextmanager
    async def _accusing(self, convener: bytes) -> AsyncIterator[None]:
        """Keep the evidence of a provider that signed two receipts, and pass it on."""
        try:
            yield
        except ProviderEquivocation as error:
            log.warning("provider %s signed two receipts for one request", convener.hex())
            await keep(self._peer.local, TwoReceipts(first=error.first, second=error.second))
            raise error

    async def _execute(self, seat: Seat, inputs: list[Tensor], said: Shown | None, shown: list[Tensor]) -> None:
        """Run the model, then commit; whatever keeps this verifier from it makes it abstain, with the reason.

        RemoteError when a generator's convener did not show its tokens, or another model's shows what nobody may see
        yet: then another convener still finds this verifier as it was.
        """
        member, request = seat.member, seat.member.request.request
        seconds = (member.deadline_ms - now_ms()) / 1000
        ready = await self._peer.ready.soon(request.model, min(seconds, LOADING_SECONDS))
        if ready is None:
            seat.committed = member.abstain("this verifier does not have that model")
            return
        if (ready.manifest.interface == "generate") != (said is not None):
            text = "what a verifier sees before it commits is a generator's tokens, text and end, and nothing else"
            raise RemoteError(ErrorCode.REFUSED, text, retry=False)
        if said is not None:
            member.show(said.receipt, shown, said.scores)
        try:
            given = to_execute(ready.manifest, inputs, shown)
            check_headers([t.header for t in inputs], ready.manifest.inputs, "inputs")
            seconds = (member.deadline_ms - now_ms()) / 1000
            execution = await self._peer.ready.execute(request.model, given, seconds)
        except (RemoteError, RecordError) as error:
            seat.committed = member.abstain(str(error) or "the execution failed")
            return
        seal = partial(member.commit, ready.manifest, execution.outputs, secrets.token_bytes(32))
        large = _are_large([t.header for t in execution.outputs])
        seat.committed = await trio.to_thread.run_sync(seal) if large else seal()

    def _keep(self, seat: Seat) -> None:
        """The ballot goes to disk while the vote leaves, so that it can be told even after a restart."""
        ballot = seat.member.ballot
        assert ballot is not None
        reply = encode(BallotReply(ballot=ballot, receipt=seat.member.receipt))
        self._ballots.keep(seat.member.digest, reply, seat.member.deadline_ms)

    async def _tell_ballot(self, channel: Channel, question: AskBallot) -> None:
        """What this verifier said on a request, to the payer that signed it."""
        request, domain = question.request.request, self._peer.network.domain
        if not question.request.is_signed(domain) or address_of(public_of(channel.peer)) != request.payer:
            raise RemoteError(ErrorCode.REFUSED, "a ballot is told to the payer of its request alone", retry=False)
        digest = request.digest(domain)
        seat = self._seats.get(digest)
        if seat and (ballot := seat.member.ballot):
            await channel.send(BallotReply(ballot=ballot, receipt=seat.member.receipt))
        elif stored := self._peer.local.store.ballots.get(digest):
            await channel.send(decode(stored, BallotReply))
        else:
            raise RemoteError(ErrorCode.NOT_FOUND, "this verifier said nothing on that request", retry=False)


def _are_large(headers: Sequence[TensorHeader]) -> bool:
    """Whether work over these tensors would hold up everybody else; over others a thread costs more than the work."""
    return sum(header.binary_data_size for header in headers) > LARGE_OUTPUTS
