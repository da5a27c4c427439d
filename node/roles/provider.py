"""The provider: offers what it can execute, answers requests, and signs a receipt over each answer."""

from __future__ import annotations

import logging
from functools import partial
from itertools import starmap

import trio
from msgspec.structs import replace

from engine import Execution
from p2p import Channel
from verify import check_asked, rows
from wire.canonical import encode
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.inference import Answer, Ask, Receipt, Runtime, SignedReceipt, Usage, sign_receipt
from wire.offer import Offer, sign_offer
from wire.tensors import check_headers, tensor_set

from ..benching.records import serve_benchmarks
from ..benching.witness import Witness
from ..bounds import (
    MAX_OFFERS_PER_PROVIDER,
    MAX_OPEN_REQUESTS,
    MAX_SEEN_REQUESTS,
    OFFER_BURST,
    OFFER_EVERY,
    OFFER_LAST_MS,
    OFFER_LIFE_MS,
    OFFER_PAUSE,
    REST_MS,
    TENSOR_SECONDS,
)
from ..clock import now_ms
from ..offering import Offering, Word
from ..peer import Peer
from ..proofs import send_proof
from ..ready import ReadyModel
from ..replay import ReplayGuard
from ..streaming import stream_tokens
from ..tiers.giving import price_of, proving, terms
from ..tiers.rung import Job

log = logging.getLogger("hallmark.provider")


class Provider:
    """The role. `run` until cancelled."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._guard = ReplayGuard(peer.started_ms, MAX_SEEN_REQUESTS)
        self._witness = Witness()
        self._open = 0

    async def run(self) -> None:
        """Answer requests, and say what is offered: at once when that changes, and before the last word expires."""
        peer = self._peer
        peer.host.handle("infer", self._serve)
        peer.host.handle("benchmarks", self._countersign)
        offering = Offering(
            every=OFFER_EVERY,
            life=OFFER_LIFE_MS / 1000,
            pause=OFFER_PAUSE,
            burst=OFFER_BURST,
            most=MAX_OFFERS_PER_PROVIDER,
        )
        beyond = 0
        while True:
            seen, before = peer.ready.changed.count, beyond
            beyond = offering.hold(starmap(self._offer, peer.ready.all().items()), trio.current_time())
            if beyond > before:
                most = MAX_OFFERS_PER_PROVIDER
                log.warning("%d models are executed here and not offered: peers keep %d offers of one", beyond, most)
            word = offering.next(trio.current_time())
            if word is None:
                await peer.ready.changed.wait(offering.wait(trio.current_time()), since=seen)
            else:
                heard = peer.host.neighbours("offers") > 0
                await self._say(word)
                offering.said(word, trio.current_time(), heard=heard)

    def _offer(self, model: bytes, ready: ReadyModel) -> Offer:
        """What is offered of one model now, without the times of any word."""
        peer = self._peer
        return Offer(
            peer=peer.local.key.public,
            addresses=peer.host.addresses,
            model=model,
            tiers=terms(peer, ready),
            backend=ready.loaded.backend,
            profile=ready.manifest.profile,
            compute_us=ready.loaded.compute_us,
            queue_depth=self._open,
            sequence=0,
            issued_ms=0,
            expires_ms=0,
        )

    async def _say(self, word: Word) -> None:
        now, peer = now_ms(), self._peer
        until = now + (OFFER_LAST_MS if word.last else OFFER_LIFE_MS)
        offer = replace(word.offer, sequence=now, issued_ms=now, expires_ms=until)
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
                        await self._answer(channel, Job(self._peer, ask.request, inputs, ready), rows(given))
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
        ready = peer.ready.get(request.model)
        if ready is None:
            raise RemoteError(ErrorCode.NOT_FOUND, "this provider does not run that model")
        asked = next((t for t in terms(peer, ready) if t.tier == request.tier), None)
        if asked is None:
            raise RemoteError(ErrorCode.UNSUPPORTED, f"this provider does not answer in tier {request.tier}")
        if request.max_price < asked.price:
            raise RemoteError(ErrorCode.REFUSED, f"the price is {asked.price}, you allow {request.max_price}")
        try:
            check_headers(ask.inputs, ready.manifest.inputs, "inputs")
        except RecordError as error:
            raise RemoteError(ErrorCode.BAD_RECORD, str(error), retry=False) from error
        if not (fits := check_asked(ask.request)).ok:
            raise RemoteError(ErrorCode.BAD_RECORD, fits.detail, retry=False)
        peer.ready.check_room(request.model)
        if not ask.request.is_signed(peer.network.domain):
            raise RemoteError(ErrorCode.REFUSED, "the payer did not sign this request, or not for this network")
        return ready, self._guard.admit(request, request.digest(peer.network.domain), now_ms())

    async def _answer(self, channel: Channel, job: Job, units: int) -> None:
        """Execute, sign, send; then the tier's evidence, on which work began beside the execution."""
        request, started = job.request.request, now_ms()
        seconds = (request.deadline_ms - started) / 1000
        execute = partial(self._peer.ready.execute, request.model, job.inputs, seconds)
        async with proving(job) as evidence:
            if job.ready.manifest.interface == "generate":
                execution = await evidence.execute(partial(stream_tokens, channel, execute))
            else:
                execution = await evidence.execute(execute)
            receipt = self._receipt(job, execution, units, started)
            evidence.answer(receipt, execution.outputs)
            answer = Answer(receipt=receipt, outputs=tuple(t.header for t in execution.outputs))
            self._witness.note(receipt.receipt)
            await channel.send(answer, execution.outputs)
            self._peer.tally.called(request.model)
            proof = await evidence.proof()
        if proof is not None:
            if proof.reason and proof.certificate.quorum is None:
                log.warning("an answer of ours was not certified: %s", proof.reason)
            await send_proof(channel, proof)

    def _receipt(self, job: Job, execution: Execution, units: int, started: int) -> SignedReceipt:
        domain, request = self._peer.network.domain, job.request.request
        receipt = Receipt(
            chain_id=domain.chain_id,
            request=request.digest(domain),
            nonce=request.nonce,
            payer=request.payer,
            provider=request.provider,
            model=request.model,
            inputs=request.inputs,
            outputs=tensor_set(execution.outputs).hash(),
            runtime=Runtime(profile=job.ready.manifest.profile, backend=execution.backend, together=execution.company),
            tier=request.tier,
            usage=Usage(
                units=units,
                tokens_in=execution.tokens_in,
                tokens_out=execution.tokens_out,
                compute_us=execution.compute_us,
            ),
            price=price_of(self._peer, request.tier),
            started_ms=started,
            finished_ms=max(started, now_ms()),
        )
        return sign_receipt(receipt, self._peer.local.key, domain)
