"""The provider: offers what it can execute, answers requests, and signs a receipt over each answer."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from itertools import starmap

import trio
from msgspec.structs import replace

from engine import Execution
from p2p import Channel
from verify import check_asked, rows
from wire.canonical import Amount, encode
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.inference import Answer, Ask, Receipt, Runtime, SignedReceipt, Usage, sign_receipt
from wire.offer import Offer, Terms, sign_offer
from wire.tensors import Tensor, check_headers, tensor_set

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
from ..chain.amounts import show_amount
from ..clock import now_ms
from ..offering import Offering, Word
from ..paying.pricing import most_tokens
from ..paying.selling import Selling
from ..peer import Peer
from ..proofs import send_proof
from ..ready import ReadyModel
from ..replay import ReplayGuard
from ..settling.making import receipt_file
from ..streaming import stream_tokens
from ..tiers.giving import is_complete, proving, terms
from ..tiers.rung import Job

log = logging.getLogger("hallmark.provider")


@dataclass(frozen=True)
class _Admitted:
    """A request that may be answered: with which model, by which terms of those that hold now, in how many seconds
    when its own time has come."""

    ready: ReadyModel
    terms: Terms
    tiers: Sequence[Terms]
    early: float


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
            offers = starmap(self._offer, peer.ready.all().items())
            beyond = offering.hold([offer for offer in offers if self._is_payable(offer)], trio.current_time())
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
        peer, tiers = self._peer, terms(self._peer, ready)
        return Offer(
            peer=peer.local.key.public,
            addresses=peer.host.addresses,
            model=model,
            tiers=tiers,
            backend=ready.loaded.backend,
            profile=ready.manifest.profile,
            compute_us=ready.loaded.compute_us,
            queue_depth=self._open,
            sequence=0,
            issued_ms=0,
            expires_ms=0,
            payment=peer.earning.terms(tiers) if peer.earning and any(map(_costs, tiers)) else None,
        )

    def _is_payable(self, offer: Offer) -> bool:
        """Not while it is unknown where the chain's channels pay to, if an answer costs anything."""
        return self._peer.earning is None or offer.payment is not None or not any(map(_costs, offer.tiers))

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
                admitted = self._admit(ask)
                with self._peer.held.inputs(channel.peer, ask.inputs):
                    inputs = await channel.receive_tensors(ask.inputs, timeout=TENSOR_SECONDS)
                    await trio.lowlevel.checkpoint()  # large ones take 20 ms to hash, and others wait
                    given = tensor_set(inputs)
                    if given.hash() != ask.request.request.inputs:
                        raise RemoteError(ErrorCode.REFUSED, "the inputs are not those that the request was signed for")
                    ceiling = self._ceiling(ask, admitted, inputs)
                    with channel.while_wanted():
                        await trio.sleep(admitted.early)
                        job = Job(self._peer, ask.request, inputs, admitted.ready)
                        async with self._selling(channel, ask, admitted, ceiling) as selling:
                            await self._answer(channel, job, rows(given), admitted.terms, selling)
        finally:
            self._open -= 1

    async def _countersign(self, channel: Channel) -> None:
        await serve_benchmarks(channel, self._peer.local, self._witness)

    def _admit(self, ask: Ask) -> _Admitted:
        """Everything that can be refused before the inputs are read; RemoteError says what."""
        request, peer = ask.request.request, self._peer
        if request.provider != peer.local.key.address:
            raise RemoteError(ErrorCode.REFUSED, "the request is for another provider")
        ready = peer.ready.get(request.model)
        if ready is None:
            raise RemoteError(ErrorCode.NOT_FOUND, "this provider does not run that model")
        tiers = terms(peer, ready)
        asked = next((t for t in tiers if t.tier == request.tier), None)
        if asked is None:
            raise RemoteError(ErrorCode.UNSUPPORTED, f"this provider does not answer in tier {request.tier}")
        if request.max_price < asked.price:
            text = f"the price is {show_amount(asked.price)}, you allow {show_amount(request.max_price)}"
            raise RemoteError(ErrorCode.REFUSED, text)
        try:
            check_headers(ask.inputs, ready.manifest.inputs, "inputs")
        except RecordError as error:
            raise RemoteError(ErrorCode.BAD_RECORD, str(error), retry=False) from error
        if not (fits := check_asked(ask.request)).ok:
            raise RemoteError(ErrorCode.BAD_RECORD, fits.detail, retry=False)
        peer.ready.check_room(request.model)
        if not ask.request.is_signed(peer.network.domain):
            raise RemoteError(ErrorCode.REFUSED, "the payer did not sign this request, or not for this network")
        if peer.earning and _costs(asked):
            peer.earning.check(ask, tiers)
        early = self._guard.admit(request, request.digest(peer.network.domain), now_ms())
        return _Admitted(ready, asked, tiers, early)

    def _ceiling(self, ask: Ask, admitted: _Admitted, inputs: Sequence[Tensor]) -> Amount:
        """What the answer may cost at most; RemoteError where its payer does not allow so much."""
        allowed = ask.request.request.max_price
        ceiling = admitted.terms.cost(most_tokens(admitted.ready.manifest, inputs))
        if ceiling > allowed:
            text = f"the price is up to {ceiling} for so many tokens, you allow {allowed}"
            raise RemoteError(ErrorCode.REFUSED, text)
        return ceiling

    @asynccontextmanager
    async def _selling(
        self, channel: Channel, ask: Ask, admitted: _Admitted, ceiling: Amount
    ) -> AsyncIterator[Selling | None]:
        """The sale of an answer, covered as far as its first step; None for one that nobody pays."""
        earning = self._peer.earning
        if earning is None or ask.payment is None or not ceiling:
            yield None
            return
        async with earning.selling(channel, ask.payment, admitted.terms, admitted.tiers, ceiling) as selling:
            yield selling

    async def _answer(self, channel: Channel, job: Job, units: int, agreed: Terms, selling: Selling | None) -> None:
        """Execute, sign, send; then the tier's evidence, on which work began beside the execution.

        Only an answer that went out, and has all its evidence, is charged.
        """
        request, started = job.request.request, now_ms()
        seconds = (request.deadline_ms - started) / 1000
        execute = partial(self._peer.ready.execute, request.model, job.inputs, seconds)
        async with proving(job) as evidence:
            if job.ready.manifest.interface == "generate":
                pace = selling.pace if selling and selling.in_steps else None
                execution = await evidence.execute(partial(stream_tokens, channel, execute, pace))
            else:
                execution = await evidence.execute(execute)
            price = agreed.cost(execution.tokens_out if agreed.per_1k_tokens else 0)
            if selling is not None:
                await selling.ready(price)
            receipt = self._receipt(job, execution, units, started, price)
            evidence.answer(receipt, execution.outputs)
            answer = Answer(receipt=receipt, outputs=tuple(t.header for t in execution.outputs))
            self._witness.note(receipt.receipt)
            if selling is not None:
                channel.finish()  # who has its answer does not get it for nothing by leaving before the proof
            await channel.send(answer, execution.outputs)
            self._peer.tally.called(request.model)
            proof = await evidence.proof()
        if proof is not None:
            if proof.reason and proof.certificate.quorum is None:
                log.warning("an answer of ours was not certified: %s", proof.reason)
            with suppress(RemoteError) if selling else nullcontext():
                await send_proof(channel, proof)
        if is_complete(request.tier, proof):
            if selling is not None:
                selling.delivered(price)
            if self._peer.handing and price and (file := receipt_file(job, receipt, execution.outputs, proof)):
                self._peer.handing.add(file)

    def _receipt(self, job: Job, execution: Execution, units: int, started: int, price: Amount) -> SignedReceipt:
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
            price=price,
            started_ms=started,
            finished_ms=max(started, now_ms()),
        )
        return sign_receipt(receipt, self._peer.local.key, domain)


def _costs(terms: Terms) -> bool:
    return terms.price > 0 or terms.per_1k_tokens > 0
