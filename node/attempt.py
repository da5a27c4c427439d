"""One attempt: one provider asked once, and everything it says checked before it counts.

The client checks each field of the receipt against its own request, the bytes against the receipt's hashes, and the
certificate against a committee that it draws itself. What does not hold is `NotProved`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from p2p import Channel
from verify import Check, check_answer, check_evidence, committee_for, require
from verify.tiers import quorum, signed
from wire.canonical import Amount, encode
from wire.certificate import Certificate
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.generation import Tokens
from wire.inference import Answer, Ask, Proof, Request, SignedReceipt, SignedRequest, sign_request
from wire.keys import address_of, peer_id_of
from wire.manifest import Manifest, SignedManifest
from wire.offer import Offer
from wire.receiptfile import ReceiptFile
from wire.tensors import Tensor, TensorSet, check_headers, tensor_set
from wire.tier import Tier
from wire.vote import Ballot

from .ballots import count_ballots, kept_back
from .bounds import ROUND_SECONDS, TENSOR_SECONDS
from .clock import now_ms
from .convening import convening
from .peer import Peer
from .streaming import Heard, OnTokens


@dataclass(frozen=True)
class Question:
    """What is asked, of which model, to be proved how."""

    manifest: SignedManifest
    specs: Manifest
    tensors: Sequence[Tensor]
    tier: Tier
    max_price: Amount
    seconds: float
    prefer: bytes | None = None  # the key of a provider to ask first


@dataclass(frozen=True)
class Answered:
    """A proved answer. `timing` in milliseconds; `found_at` is trio's clock when an offer was chosen."""

    outputs: tuple[Tensor, ...]
    file: ReceiptFile
    provider: bytes
    signers: tuple[bytes, ...]
    committee: int
    timing: dict[str, float]
    found_at: float
    proof: str

    @property
    def encoded(self) -> bytes:
        """The receipt file's bytes."""
        return encode(self.file)


class NotProved(Exception):
    """This provider's answer does not hold; the text says what does not.

    `dishonest` is False where the committee computed the very same outputs and refused them (they are not finite, say):
    then the model or the input is to blame, and the provider did what it was asked.
    """

    def __init__(self, why: str, *, dishonest: bool = True) -> None:
        super().__init__(why)
        self.dishonest = dishonest


async def attempt(
    peer: Peer, question: Question, offer: Offer, deadline: float, on_tokens: OnTokens | None = None
) -> Answered:
    """The proved answer of one provider, by `deadline` (trio's clock). NotProved, or RemoteError when none came.

    `on_tokens` hears a generator's tokens as they come: provisional until this returns, void when it raises.
    """
    inputs = tensor_set(question.tensors)
    request = _sign(peer, question, offer, inputs, deadline)
    peer_id = peer_id_of(offer.peer)
    peer.host.learn(peer_id, offer.addresses)
    try:
        with trio.move_on_at(deadline):
            return await _exchange(peer, question, offer.peer, request, inputs, deadline, on_tokens)
        raise RemoteError(ErrorCode.TIMEOUT, "no proved answer within the time allowed")
    except RemoteError as error:
        if question.tier == "quorum" and error.code not in (ErrorCode.UNREACHABLE, ErrorCode.REJECTED):
            said = await kept_back(peer, request)
            if said and said.refused:
                why = f"{said.rejected} of {said.size} verifiers rejected it, and it kept that back"
                raise NotProved(why, dishonest=not said.same) from error
        raise


async def _exchange(
    peer: Peer,
    question: Question,
    provider: bytes,
    request: SignedRequest,
    inputs: TensorSet,
    deadline: float,
    on_tokens: OnTokens | None,
) -> Answered:
    found_at = trio.current_time()
    async with peer.host.exchange(peer_id_of(provider), "infer") as channel:
        connected = trio.current_time()
        await channel.send(Ask(request=request, inputs=tuple(t.header for t in question.tensors)), question.tensors)
        answer, outputs = await _hear(channel, question, deadline, on_tokens)
        executed = trio.current_time()
        _hold(check_answer(peer.network, question.specs, request, answer.receipt, inputs, outputs))
        certificate, ballots = await _evidence(peer, question, request, answer.receipt, outputs, channel, deadline)
    _hold(check_evidence(peer.network, request, answer.receipt, certificate, ballots))
    verified = trio.current_time()
    file = ReceiptFile(
        format=1,
        network=peer.network.name,
        chain_id=peer.network.chain_id,
        contract=peer.network.contract,
        manifest=question.manifest,
        request=request,
        receipt=answer.receipt,
        certificate=certificate,
        ballots=ballots,
        inputs=inputs,
        headers=tuple(t.header for t in outputs),
        outputs=tuple(bytes(t.data) for t in outputs),
    )
    signers, size = _signers(peer, request, certificate)
    return Answered(
        outputs=tuple(outputs),
        file=file,
        provider=provider,
        signers=signers,
        committee=size,
        timing={
            "connect": (connected - found_at) * 1000,
            "execute": (executed - connected) * 1000,
            "verify": (verified - executed) * 1000,
        },
        found_at=found_at,
        proof=f"certified by {len(signers)} of {size} verifiers" if size else "signed by its provider alone",
    )


def _left(deadline: float) -> float:
    return max(0.0, deadline - trio.current_time())


def _signers(peer: Peer, request: SignedRequest, certificate: Certificate) -> tuple[tuple[bytes, ...], int]:
    """The keys that signed a certificate that holds, and the size of their committee; none in tier signed."""
    if certificate.quorum is None:
        return (), 0
    members = committee_for(peer.network, request.request).members
    places = quorum.signers_in(certificate.quorum.signers, len(members))
    return tuple(members[i].key for i in places), len(members)


def _sign(peer: Peer, question: Question, offer: Offer, inputs: TensorSet, deadline: float) -> SignedRequest:
    now = now_ms()
    request = Request(
        nonce=secrets.token_bytes(32),
        model=question.manifest.model,
        tier=question.tier,
        inputs=inputs.hash(),
        payer=peer.local.key.address,
        provider=address_of(offer.peer),
        max_price=offer.price,  # no more than was offered, whatever the user would have paid
        issued_ms=now,
        deadline_ms=now + max(1, int((deadline - trio.current_time()) * 1000)),
    )
    return sign_request(request, peer.local.key, peer.network.domain)


async def _hear(
    channel: Channel, question: Question, deadline: float, on_tokens: OnTokens | None
) -> tuple[Answer, list[Tensor]]:
    """The answer; of a generator, after the tokens that it must begin with."""
    if question.specs.interface != "generate":
        answer = await channel.receive(Answer, timeout=_left(deadline))
        return answer, await _outputs(channel, answer, question)
    heard = Heard(question.tensors)
    try:
        while not isinstance(said := await channel.receive(Tokens | Answer, timeout=_left(deadline)), Answer):
            heard.add(said)
            if on_tokens:
                on_tokens(said)
        outputs = await _outputs(channel, said, question)
        heard.check(outputs)
    except RecordError as error:
        raise NotProved(str(error)) from error
    return said, outputs


async def _outputs(channel: Channel, answer: Answer, question: Question) -> list[Tensor]:
    try:
        check_headers(answer.outputs, question.specs.outputs, "outputs")
    except RecordError as error:
        raise NotProved(str(error)) from error
    return await channel.receive_tensors(answer.outputs, timeout=TENSOR_SECONDS)


def _hold(checks: Sequence[Check]) -> None:
    """NotProved at the first check that does not hold."""
    try:
        require(checks)
    except RecordError as error:
        raise NotProved(str(error)) from error


async def _evidence(
    peer: Peer,
    question: Question,
    request: SignedRequest,
    receipt: SignedReceipt,
    outputs: Sequence[Tensor],
    channel: Channel,
    deadline: float,
) -> tuple[Certificate, tuple[Ballot, ...]]:
    """The tier's evidence: from the provider, or, when it keeps it back, from the committee itself."""
    if question.tier == "signed":
        return signed.certify(receipt.receipt.digest(peer.network.domain)), ()
    try:
        # Half of what is left, so that there is time to ask the committee oneself.
        left = (deadline - trio.current_time()) / 2
        proof = await channel.receive(Proof, timeout=min(ROUND_SECONDS, left))
        if proof.certificate is not None:
            return proof.certificate, proof.ballots
        ballots, reason = proof.ballots, proof.reason
    except RemoteError as error:
        ballots, reason = (), str(error)
    try:
        said = count_ballots(peer.network, request, receipt, ballots)
        if not said.refused:  # a rejection that is shown needs no second opinion; anything else is asked anew
            async with convening(peer, request, question.tensors) as round_:
                round_.answer(receipt, outputs)
                outcome = await round_.outcome()
            if outcome.certificate is not None:
                return outcome.certificate, outcome.ballots
            said = count_ballots(peer.network, request, receipt, outcome.ballots)
            reason = outcome.reason
    except RecordError as error:  # the network file lists nobody who may judge: this offer cannot be proved
        raise RemoteError(ErrorCode.UNSUPPORTED, str(error)) from error
    if said.refused and said.same:
        raise NotProved(
            "the committee has the same outputs and refuses them: they are not finite numbers", dishonest=False
        )
    if said.refused:
        raise NotProved(f"{said.rejected} of {said.size} verifiers rejected it")
    raise RemoteError(ErrorCode.REJECTED, f"the committee came to no decision: {reason}")
