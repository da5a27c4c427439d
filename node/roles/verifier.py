"""The verifier: sits on the committees it is drawn for. It executes the model itself, commits, and only then judges."""

from __future__ import annotations

import logging
import secrets

import trio

from p2p import Channel
from verify.member import Member, ProviderEquivocation
from wire.canonical import decode, encode
from wire.committee import AskBallot, BallotReply, Committed, CommitteeRequest, Convene, Judge
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import address_of, public_of
from wire.tensors import Tensor, check_headers, tensor_set

from ..bounds import LOADING_SECONDS, MAX_OPEN_ROUNDS, MAX_SEEN_REQUESTS, REST_MS, TENSOR_SECONDS
from ..clock import now_ms
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

    async def run(self) -> None:
        """Answer conveners and payers; forget what is over."""
        self._peer.host.handle("committee", self._serve)
        while True:
            await trio.sleep(30)
            now = now_ms()
            self._seats = {d: s for d, s in self._seats.items() if s.member.request.request.deadline_ms > now}
            await self._peer.local.store.in_thread(self._peer.local.store.ballots.prune, now)

    async def _serve(self, channel: Channel) -> None:
        question = await channel.receive(CommitteeRequest, timeout=TENSOR_SECONDS)
        if isinstance(question, Convene):
            with self._peer.work():
                await self._sit(channel, question)
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
        member = Member(self._peer.network, self._peer.local.key, convene.request, now_ms())
        with self._peer.held.inputs(channel.peer, convene.inputs):
            inputs = await channel.receive_tensors(convene.inputs, timeout=TENSOR_SECONDS)
            if tensor_set(inputs).hash() != request.inputs:
                raise RemoteError(ErrorCode.REFUSED, "the inputs are not those that the request was signed for")
            seat = self._seats.get(member.digest)
            if seat is None:
                if len(self._seats) >= MAX_SEEN_REQUESTS or self._sitting >= MAX_OPEN_ROUNDS:
                    text = "this verifier sits on too many committees now"
                    raise RemoteError(ErrorCode.OVERLOADED, text, after_ms=REST_MS)
                early = self._guard.admit(request, member.digest, now_ms())
                seat = self._seats[member.digest] = Seat(member, early)
            with channel.while_wanted():
                async with seat.executing:
                    if seat.committed is None:
                        await trio.sleep_until(seat.starts)
                        await self._execute(seat, inputs)
        assert seat.committed is not None
        await channel.send(seat.committed)
        if seat.committed.reason:
            return  # it abstains: nothing will be shown to it
        judge = await channel.receive(Judge, timeout=max(1.0, (request.deadline_ms - now_ms()) / 1000))
        outputs = await channel.receive_tensors(judge.outputs, timeout=TENSOR_SECONDS)
        async with seat.judging:
            try:
                judged = await trio.to_thread.run_sync(seat.member.judge, judge.receipt, outputs, now_ms())
            except ProviderEquivocation as error:
                log.warning("provider %s signed two receipts for one request", convener.hex())
                raise error
            await self._keep(seat)
        await channel.send(judged)

    @property
    def _sitting(self) -> int:
        return sum(seat.executing.locked() for seat in self._seats.values())

    async def _execute(self, seat: Seat, inputs: list[Tensor]) -> None:
        """Run the model, then commit; whatever keeps this verifier from it makes it abstain, with the reason."""
        member, request = seat.member, seat.member.request.request
        seconds = (request.deadline_ms - now_ms()) / 1000
        ready = await self._peer.ready.soon(request.model, min(seconds, LOADING_SECONDS))
        if ready is None:
            seat.committed = member.abstain("this verifier does not have that model")
            return
        try:
            check_headers([t.header for t in inputs], ready.manifest.inputs, "inputs")
            seconds = (request.deadline_ms - now_ms()) / 1000
            execution = await self._peer.ready.execute(request.model, inputs, seconds)
        except (RemoteError, RecordError) as error:
            seat.committed = member.abstain(str(error) or "the execution failed")
            return
        seat.committed = member.commit(ready.manifest, execution.outputs, secrets.token_bytes(32))

    async def _keep(self, seat: Seat) -> None:
        """The ballot is on disk before the vote leaves: whoever is asked later says the same."""
        ballot = seat.member.ballot
        assert ballot is not None
        reply = encode(BallotReply(ballot=ballot, receipt=seat.member.receipt))
        store, request = self._peer.local.store, seat.member.request.request
        await store.in_thread(store.ballots.put, seat.member.digest, reply, request.deadline_ms)

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
