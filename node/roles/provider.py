"""The provider: offers what it can execute, answers requests, and signs a receipt over each answer."""

from __future__ import annotations

import logging
from functools import partial

import trio

from p2p import Channel
from verify import Outcome, rows
from wire.canonical import Amount, encode
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.inference import Answer, Ask, Proof, Receipt, Request, Runtime, SignedReceipt, Usage, sign_receipt
from wire.offer import Offer, sign_offer
from wire.tensors import Tensor, check_headers, tensor_set
from wire.text import one_line
from wire.tier import Tier

from ..benching.records import serve_benchmarks
from ..benching.witness import Witness
from ..bounds import MAX_OPEN_REQUESTS, MAX_SEEN_REQUESTS, OFFER_EVERY, OFFER_LIFE_MS, REST_MS, TENSOR_SECONDS
from ..clock import now_ms
from ..convening import Convening, convening
from ..peer import Peer
from ..ready import ReadyModel
from ..replay import ReplayGuard
from ..streaming import stream_tokens

log = logging.getLogger("hallmark.provider")

TIERS: tuple[Tier, ...] = ("signed", "quorum")  # what this release executes


class Provider:
    """The role. `run` until cancelled."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._guard = ReplayGuard(peer.started_ms, MAX_SEEN_REQUESTS)
        self._witness = Witness()
        self._open = 0

    async def run(self) -> None:
        """Answer requests, and say what is offered: at once when that changes, and before the last word expires."""
        self._peer.host.handle("infer", self._serve)
        self._peer.host.handle("benchmarks", self._countersign)
        while True:
            seen = self._peer.ready.changed.count
            for model, ready in self._peer.ready.all().items():
                await self._offer(model, ready)
            await self._peer.ready.changed.wait(OFFER_EVERY, since=seen)

    async def _offer(self, model: bytes, ready: ReadyModel) -> None:
        now, peer = now_ms(), self._peer
        offer = Offer(
            peer=peer.local.key.public,
            addresses=peer.host.addresses,
            model=model,
            tiers=TIERS if any(v.key != peer.local.key.public for v in peer.network.verifiers) else TIERS[:1],
            price=Amount(peer.local.config.price),
            backend=ready.loaded.backend,
            profile=ready.manifest.profile,
            compute_us=ready.loaded.compute_us,
            queue_depth=self._open,
            sequence=now,
            issued_ms=now,
            expires_ms=now + OFFER_LIFE_MS,
        )
        data = encode(sign_offer(offer, peer.local.key, peer.network.domain))
        peer.board.take_offer(data, now)
        await peer.host.publish("offers", data)

    async def _serve(self, channel: Channel) -> None:
        """One request, from its first frame to its proof, for as long as its payer waits."""
        ask = await channel.receive(Ask, timeout=TENSOR_SECONDS)
        if self._open >= MAX_OPEN_REQUESTS:
            text = "this provider has too much in hand: try later or elsewhere"
            raise RemoteError(ErrorCode.OVERLOADED, text, after_ms=REST_MS)
        self._open += 1
        try:
            with self._peer.work():
                ready, early = self._admit(ask)
                with self._peer.held.inputs(channel.peer, ask.inputs):
                    inputs = await channel.receive_tensors(ask.inputs, timeout=TENSOR_SECONDS)
                    await trio.lowlevel.checkpoint()  # large ones take 20 ms to hash, and others wait
                    given = tensor_set(inputs)
                    if given.hash() != ask.request.request.inputs:
                        raise RemoteError(ErrorCode.REFUSED, "the inputs are not those that the request was signed for")
                    with channel.while_wanted():
                        await trio.sleep(early)
                        if ask.request.request.tier == "quorum":
                            await self._answer_quorum(channel, ask, inputs, ready, rows(given))
                        else:
                            await self._answer(channel, ask, inputs, ready, rows(given))
        finally:
            self._open -= 1

    async def _countersign(self, channel: Channel) -> None:
        await serve_benchmarks(channel, self._peer.local, self._witness)

    def _admit(self, ask: Ask) -> tuple[ReadyModel, float]:
        """Everything that can be refused before the inputs are read; RemoteError says what. The model, and how many
        seconds the request has to wait for its own time."""
        request, peer = ask.request.request, self._peer
        if request.provider != peer.local.key.address:
            raise RemoteError(ErrorCode.REFUSED, "the request is for another provider")
        if request.tier not in TIERS:
            raise RemoteError(ErrorCode.UNSUPPORTED, f"this provider does not answer in tier {request.tier}")
        if request.max_price < peer.local.config.price:
            raise RemoteError(
                ErrorCode.REFUSED, f"the price is {peer.local.config.price}, you allow {request.max_price}"
            )
        ready = peer.ready.get(request.model)
        if ready is None:
            raise RemoteError(ErrorCode.NOT_FOUND, "this provider does not run that model")
        try:
            check_headers(ask.inputs, ready.manifest.inputs, "inputs")
        except RecordError as error:
            raise RemoteError(ErrorCode.BAD_RECORD, str(error), retry=False) from error
        peer.ready.check_room(request.model)
        if not ask.request.is_signed(peer.network.domain):
            raise RemoteError(ErrorCode.REFUSED, "the payer did not sign this request, or not for this network")
        return ready, self._guard.admit(request, request.digest(peer.network.domain), now_ms())

    async def _answer(
        self,
        channel: Channel,
        ask: Ask,
        inputs: list[Tensor],
        ready: ReadyModel,
        units: int,
        round_: Convening | None = None,
    ) -> None:
        """Execute, sign, send; with a committee, show it the answer before the client has it."""
        request, started = ask.request.request, now_ms()
        seconds = (request.deadline_ms - started) / 1000
        execute = partial(self._peer.ready.execute, request.model, inputs, seconds)
        if ready.manifest.interface == "generate":
            execution = await stream_tokens(channel, execute)
        else:
            execution = await execute()
        usage = Usage(
            units=units, tokens_in=execution.tokens_in, tokens_out=execution.tokens_out, compute_us=execution.compute_us
        )
        runtime = Runtime(profile=ready.manifest.profile, backend=execution.backend)
        receipt = self._receipt(request, execution.outputs, usage, runtime, started)
        if round_:
            round_.answer(receipt, execution.outputs)
        answer = Answer(receipt=receipt, outputs=tuple(t.header for t in execution.outputs))
        self._witness.note(receipt.receipt)
        await channel.send(answer, execution.outputs)
        self._peer.tally.called(request.model)

    async def _answer_quorum(
        self, channel: Channel, ask: Ask, inputs: list[Tensor], ready: ReadyModel, units: int
    ) -> None:
        try:
            async with convening(self._peer, ask.request, inputs) as round_:
                await self._answer(channel, ask, inputs, ready, units, round_)
                outcome = await round_.outcome()
        except RecordError as error:  # nobody may judge: the network file is the reason, not this request
            raise RemoteError(ErrorCode.UNSUPPORTED, str(error)) from error
        if outcome.certificate is None:
            log.warning("an answer of ours was not certified: %s", outcome.reason)
        await channel.send(proof_of(outcome))

    def _receipt(
        self, request: Request, outputs: tuple[Tensor, ...], usage: Usage, runtime: Runtime, started: int
    ) -> SignedReceipt:
        domain = self._peer.network.domain
        receipt = Receipt(
            chain_id=domain.chain_id,
            request=request.digest(domain),
            nonce=request.nonce,
            payer=request.payer,
            provider=request.provider,
            model=request.model,
            inputs=request.inputs,
            outputs=tensor_set(outputs).hash(),
            runtime=runtime,
            tier=request.tier,
            usage=usage,
            price=Amount(self._peer.local.config.price),
            started_ms=started,
            finished_ms=max(started, now_ms()),
        )
        return sign_receipt(receipt, self._peer.local.key, domain)


def proof_of(outcome: Outcome) -> Proof:
    """What the client is told of a finished round."""
    return Proof(certificate=outcome.certificate, ballots=outcome.ballots, reason=one_line(outcome.reason))
