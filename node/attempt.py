"""One attempt: one provider asked once, and everything it says checked before it counts.

The client checks each field of the receipt against its own request, the bytes against the receipt's hashes, and the
certificate against a committee that it draws itself. What does not hold is `NotProved`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from p2p import Channel
from verify import STRICT, Claim, Policy, check_answer, check_evidence, check_expected, file_of
from verify.tiers import quorum
from verify.tiers.zk import describe
from verify.zk.arithmetic import checked_by
from wire.audit import UNSEEDED, seed_of
from wire.canonical import Amount, encode
from wire.certificate import Certificate
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.generation import Tokens
from wire.inference import Answer, Ask, Proof, Request, SignedReceipt, SignedRequest, sign_request
from wire.keys import address_of, peer_id_of
from wire.manifest import Manifest, SignedManifest
from wire.offer import Offer, Terms
from wire.payment import Owed, TopUp
from wire.receiptfile import ReceiptFile
from wire.tensors import Tensor, TensorSet, check_headers, tensor_set
from wire.text import one_line
from wire.tier import Tier, rungs_of

from .ballots import kept_back
from .bounds import LARGE_OUTPUTS, ROUND_SECONDS, TENSOR_SECONDS
from .clock import now_ms
from .paying.pricing import most_tokens, tokens_of
from .peer import Peer
from .proofs import receive_proof
from .streaming import Heard, OnTokens
from .tiers.getting import GIVEN_BY_PROVIDER, get_certificate, prepare
from .tiers.rung import NotProved, Wanted, hold

if TYPE_CHECKING:
    from .paying.spending import Bought


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
    committee: int = 0  # members of a quorum; 0: as many as the network says
    policy: Policy = STRICT  # what its asker is ready to believe


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


async def attempt(
    peer: Peer,
    question: Question,
    offer: Offer,
    deadline: float,
    on_tokens: OnTokens | None = None,
    *,
    again: bool = False,
) -> Answered:
    """The proved answer of one provider, by `deadline` (trio's clock). NotProved, or RemoteError when none came.

    `on_tokens` hears a generator's tokens as they come: provisional until this returns, void when it raises. `again`:
    the provider was lost in the middle of an answer to this question: what both cost stays within its price.
    """
    asked = _ask(peer, question, offer, deadline)
    bought = await _buy(peer, question, offer, deadline, again)
    peer_id = peer_id_of(offer.peer)
    peer.host.learn(peer_id, offer.addresses)
    with bought.ending() if bought else nullcontext():
        try:
            with trio.move_on_at(deadline):
                return await _exchange(peer, question, offer, asked, bought, on_tokens)
            raise RemoteError(ErrorCode.TIMEOUT, "no proved answer within the time allowed")
        except RemoteError as error:
            if "quorum" in rungs_of(question.tier) and error.code not in _BEFORE:
                said = await kept_back(peer, asked.request)
                if said and said.refused:
                    why = f"{said.rejected} of {said.size} verifiers rejected it, and it kept that back"
                    raise NotProved(why, dishonest=not said.same) from error
            raise


_BEFORE = (ErrorCode.UNREACHABLE, ErrorCode.REJECTED, ErrorCode.PAYMENT)  # a committee said nothing that was kept back


async def _buy(peer: Peer, question: Question, offer: Offer, deadline: float, again: bool) -> Bought | None:
    """What pays for the answer; None where answers cost nothing or nobody moves money. RemoteError when it can't."""
    ceiling = ceiling_of(question, _terms(question, offer))
    if peer.spending is None or not ceiling:
        return None
    with trio.move_on_at(deadline):
        return await peer.spending.buy(offer, ceiling, question.max_price - ceiling if again else None)
    raise RemoteError(ErrorCode.TIMEOUT, "its payment channel was not ready within the time allowed")


def ceiling_of(question: Question, terms: Terms) -> Amount:
    """What an answer by these terms may cost at most."""
    return terms.cost(most_tokens(question.specs, question.tensors) if terms.per_1k_tokens else 0)


@dataclass(frozen=True)
class _Asked:
    """One request as it was signed; `deadline` on trio's clock, `secret` decides over sampling."""

    request: SignedRequest
    terms: Terms
    secret: bytes
    inputs: TensorSet
    deadline: float


async def _exchange(
    peer: Peer, question: Question, offer: Offer, asked: _Asked, bought: Bought | None, on_tokens: OnTokens | None
) -> Answered:
    found_at, request = trio.current_time(), asked.request
    hold(check_expected(peer.network, request, question.specs, question.policy))
    await prepare(peer, question.tier, offer, question.policy)
    async with peer.host.exchange(peer_id_of(offer.peer), "infer", once=True) as channel:
        connected = trio.current_time()
        headers = tuple(t.header for t in question.tensors)
        ask = Ask(request=request, inputs=headers, payment=bought.payment if bought else None)
        await channel.send(ask, question.tensors)
        answer, outputs = await _hear(channel, question, asked, bought, on_tokens)
        executed = trio.current_time()
        hold(check_answer(peer.network, question.specs, request, answer.receipt, asked.inputs, outputs))
        _check_price(question, asked.terms, answer.receipt, outputs)
        claim = await _claim(channel, peer, question, asked, answer.receipt, outputs)
    with checked_by(peer.checked.found):
        if sum(t.header.binary_data_size for t in outputs) > LARGE_OUTPUTS:  # a committee's may differ in every place
            hold(await trio.to_thread.run_sync(check_evidence, claim, question.policy))
        else:
            hold(check_evidence(claim, question.policy))
    verified = trio.current_time()
    if bought is not None:
        bought.proved(answer.receipt.receipt.price)
    signers, size = _signers(claim)
    return Answered(
        outputs=tuple(outputs),
        file=file_of(claim, question.manifest),
        provider=offer.peer,
        signers=signers,
        committee=size,
        timing={
            "connect": (connected - found_at) * 1000,
            "execute": (executed - connected) * 1000,
            "verify": (verified - executed) * 1000,
        },
        found_at=found_at,
        proof=_proved_by(claim, len(signers), size),
    )


def _left(deadline: float) -> float:
    return max(0.0, deadline - trio.current_time())


def _proved_by(claim: Claim, signers: int, size: int) -> str:
    """One line on what a certificate that holds consists of."""
    if claim.certificate.zk is not None:
        return describe(claim.certificate.zk)
    proved = [f"certified by {signers} of {size} verifiers"] if size else []
    if claim.certificate.tee is not None:
        proved.insert(0, f"attested ({claim.certificate.tee.kind})")
    return ", ".join(proved) or "signed by its provider alone"


def _signers(claim: Claim) -> tuple[tuple[bytes, ...], int]:
    """The keys that signed a certificate that holds, and the size of their committee; none without a quorum."""
    if claim.certificate.quorum is None:
        return (), 0
    committee, places = quorum.signers(claim.network, claim.request, claim.certificate.quorum)
    return tuple(committee.places[i].key for i in places), len(committee.members)


def _ask(peer: Peer, question: Question, offer: Offer, deadline: float) -> _Asked:
    now, inputs, secret = now_ms(), tensor_set(question.tensors), secrets.token_bytes(32)
    terms = _terms(question, offer)
    request = Request(
        nonce=secrets.token_bytes(32),
        model=question.manifest.model,
        tier=question.tier,
        committee=question.committee if "quorum" in rungs_of(question.tier) else 0,
        seed=seed_of(secret) if "sampled" in rungs_of(question.tier) else UNSEEDED,
        inputs=inputs.hash(),
        payer=peer.local.key.address,
        provider=address_of(offer.peer),
        max_price=ceiling_of(question, terms),  # no more than was offered, whatever the user would have paid
        issued_ms=now,
        deadline_ms=now + max(1, int((deadline - trio.current_time()) * 1000)),
    )
    return _Asked(sign_request(request, peer.local.key, peer.network.domain), terms, secret, inputs, deadline)


def _terms(question: Question, offer: Offer) -> Terms:
    terms = offer.terms(question.tier)
    if terms is None:
        raise RemoteError(ErrorCode.UNSUPPORTED, f"its offer has no tier {question.tier}")
    return terms


def _check_price(question: Question, terms: Terms, receipt: SignedReceipt, outputs: Sequence[Tensor]) -> None:
    """NotProved for a price beyond what was offered for as much as came. A provider that has new prices, and answers
    by them, is none that lies."""
    price = receipt.receipt.price
    cost = terms.cost(tokens_of(question.specs, outputs) if terms.per_1k_tokens else 0)
    if price > cost:
        raise NotProved(f"its price is {price}, and by its offer the answer costs {cost}", dishonest=False)


async def _hear(
    channel: Channel, question: Question, asked: _Asked, bought: Bought | None, on_tokens: OnTokens | None
) -> tuple[Answer, list[Tensor]]:
    """The answer; of a generator, after the tokens that it must begin with. A provider that needs a voucher before it
    goes on has it."""
    heard = Heard(question.tensors) if question.specs.interface == "generate" else None
    kinds = Answer | Owed if heard is None else Tokens | Answer | Owed
    try:
        while not isinstance(said := await channel.receive(kinds, timeout=_left(asked.deadline)), Answer):
            if isinstance(said, Owed):
                used = asked.terms.cost(heard.count) if heard and heard.count else 0
                await channel.send(_top_up(bought, said, used))
                continue
            assert heard is not None
            heard.add(said)
            if on_tokens:
                on_tokens(said)
        outputs = await _outputs(channel, said, question)
        if heard is not None:
            heard.check(outputs)
    except RecordError as error:
        raise NotProved(str(error)) from error
    return said, outputs


def _top_up(bought: Bought | None, said: Owed, used: int) -> TopUp:
    if bought is None:
        raise RemoteError(ErrorCode.PAYMENT, "it wants to be paid for an answer that costs nothing by its offer")
    return bought.top_up(said, used)


async def _outputs(channel: Channel, answer: Answer, question: Question) -> list[Tensor]:
    try:
        check_headers(answer.outputs, question.specs.outputs, "outputs")
    except RecordError as error:
        raise NotProved(str(error)) from error
    return await channel.receive_tensors(answer.outputs, timeout=TENSOR_SECONDS)


async def _claim(
    channel: Channel, peer: Peer, question: Question, asked: _Asked, receipt: SignedReceipt, outputs: Sequence[Tensor]
) -> Claim:
    """The answer with its certificate, from the provider and, where that keeps it back, from elsewhere."""
    request, deadline = asked.request, asked.deadline
    certificate = Certificate(tier=question.tier, receipt=receipt.receipt.digest(peer.network.domain))
    proof = Proof(certificate=certificate, ballots=(), reason="")
    if GIVEN_BY_PROVIDER & set(rungs_of(question.tier)):
        try:
            left = deadline - trio.current_time()
            if "quorum" in rungs_of(question.tier):  # half of it, so that there is time to ask the committee oneself
                left = min(ROUND_SECONDS, left / 2)
            proof = await receive_proof(channel, left)
        except RemoteError as error:
            proof = Proof(certificate=certificate, ballots=(), reason=one_line(str(error)))
    wanted = Wanted(
        peer=peer, manifest=question.specs, request=request, secret=asked.secret, inputs=question.tensors,
        receipt=receipt, outputs=outputs, certificate=proof.certificate, ballots=proof.ballots, reason=proof.reason,
        deadline=deadline,
    )  # fmt: skip
    certificate, ballots = await get_certificate(wanted)
    return Claim(
        network=peer.network, manifest=question.specs, request=request, receipt=receipt, certificate=certificate,
        ballots=ballots, inputs=asked.inputs, outputs=outputs,
    )  # fmt: skip
