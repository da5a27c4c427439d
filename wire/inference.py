"""The request a payer signs, the receipt a provider signs, and what travels with them on an inference stream.

client   → provider   Ask, then the input tensors in DATA frames
provider → client     Answer, then the output tensors in DATA frames
                      (above tier `signed`:) Proof, when the evidence is complete, and Ballots if there are many
either way            an ERROR frame instead, at any point; the stream then stays usable for the next Ask
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from .bounds import MAX_COMMITTEE, MAX_PLACES, U63, Address, Hash32, Line, Name, Signature65, TimeMs
from .canonical import Amount, Record, encode
from .certificate import Certificate
from .cid import content_hash
from .eip712 import Domain, StructType
from .keys import NodeKey, signed_by
from .payment import Payment
from .tensors import Headers
from .tier import TIER_CODE, Tier
from .vote import Ballot

REQUEST = StructType(
    "Request",
    ("bytes32", "nonce"), ("bytes32", "model"), ("uint8", "tier"), ("uint16", "committee"), ("bytes32", "seed"),
    ("bytes32", "inputs"), ("address", "payer"), ("address", "provider"), ("uint128", "maxPrice"),
    ("uint64", "issued"), ("uint64", "deadline"),
)  # fmt: skip
RECEIPT = StructType(
    "Receipt",
    ("bytes32", "request"), ("bytes32", "nonce"), ("address", "payer"), ("address", "provider"),
    ("bytes32", "model"), ("bytes32", "inputs"), ("bytes32", "outputs"), ("bytes32", "runtime"), ("uint8", "tier"),
    ("uint64", "units"), ("uint64", "tokensIn"), ("uint64", "tokensOut"), ("uint64", "computeUs"),
    ("uint128", "price"), ("uint64", "started"), ("uint64", "finished"),
)  # fmt: skip


class Request(Record):
    """One question, for one provider, once: the nonce makes its digest, and so its committee, unique.

    `committee` is how many members a quorum shall have, 0 for as many as the network says. `seed` is the hash of a
    secret of the payer's (`wire.audit.seed_of`), which decides after the answer whether a sampled one is checked; zeros
    in a tier that is not sampled.
    """

    nonce: Hash32
    model: Hash32
    tier: Tier
    committee: Annotated[int, Meta(ge=0, le=MAX_COMMITTEE)]
    seed: Hash32
    inputs: Hash32  # TensorSet.hash()
    payer: Address
    provider: Address
    max_price: Amount
    issued_ms: TimeMs
    deadline_ms: TimeMs

    def digest(self, domain: Domain) -> bytes:
        """What the payer signs, and what seeds the committee's draw."""
        return _digest_of_request(self, domain)


class SignedRequest(Record):
    """A request with the payer's signature."""

    request: Request
    signature: Signature65

    def is_signed(self, domain: Domain) -> bool:
        """Whether the payer it names signed it."""
        return signed_by(self.request.payer, self.request.digest(domain), self.signature)


def sign_request(request: Request, key: NodeKey, domain: Domain) -> SignedRequest:
    """The payer's signed request."""
    return SignedRequest(request=request, signature=key.sign(request.digest(domain)))


class Backend(Record):
    """What really executed: never what was configured or hoped for."""

    name: Name  # "onnxruntime", "tensorrt"
    version: Name
    device: Line  # "cpu", or the card's name
    compute_capability: Annotated[str, Meta(max_length=8)]  # "" on a CPU


class Usage(Record):
    """What is paid for. `units` counts requests' rows: the leading dimension of the first input."""

    units: U63
    tokens_in: U63
    tokens_out: U63
    compute_us: U63


Together = Annotated[int, Meta(ge=1, le=2**32 - 1)]  # requests of one batch


class Runtime(Record):
    """How the outputs were made; a receipt binds its hash. `together`: requests in the batch, this one among them."""

    profile: Name
    backend: Backend
    together: Together


class Receipt(Record):
    """The one record that binds an answer: who asked, who answered, with what, what came out, when, at what price."""

    chain_id: U63
    request: Hash32  # the request's digest
    nonce: Hash32
    payer: Address
    provider: Address
    model: Hash32
    inputs: Hash32
    outputs: Hash32
    runtime: Runtime
    tier: Tier
    usage: Usage
    price: Amount
    started_ms: TimeMs
    finished_ms: TimeMs

    def digest(self, domain: Domain) -> bytes:
        """What the provider signs, and what the committee votes on."""
        return _digest_of_receipt(self, domain)


class SignedReceipt(Record):
    """A receipt with the provider's signature."""

    receipt: Receipt
    signature: Signature65

    def is_signed(self, domain: Domain) -> bool:
        """Whether the provider it names signed it, for this chain."""
        receipt = self.receipt
        return receipt.chain_id == domain.chain_id and signed_by(
            receipt.provider, receipt.digest(domain), self.signature
        )


def sign_receipt(receipt: Receipt, key: NodeKey, domain: Domain) -> SignedReceipt:
    """The provider's signed receipt."""
    return SignedReceipt(receipt=receipt, signature=key.sign(receipt.digest(domain)))


@lru_cache(1024)  # the checks of one answer need each digest several times
def _digest_of_request(asked: Request, domain: Domain) -> bytes:
    return REQUEST.digest(
        domain, asked.nonce, asked.model, TIER_CODE[asked.tier], asked.committee, asked.seed, asked.inputs, asked.payer,
        asked.provider, asked.max_price, asked.issued_ms, asked.deadline_ms,
    )  # fmt: skip


@lru_cache(1024)  # as above
def _digest_of_receipt(said: Receipt, domain: Domain) -> bytes:
    usage = said.usage
    return RECEIPT.digest(
        domain, said.request, said.nonce, said.payer, said.provider, said.model, said.inputs, said.outputs,
        content_hash(encode(said.runtime)), TIER_CODE[said.tier], usage.units, usage.tokens_in, usage.tokens_out,
        usage.compute_us, said.price, said.started_ms, said.finished_ms,
    )  # fmt: skip


class Ask(Record, tag="ask", tag_field="type"):
    """Opens one inference; the tensors follow."""

    request: SignedRequest
    inputs: Headers
    payment: Payment | None = None


class Answer(Record, tag="answer", tag_field="type"):
    """The outputs' headers and the receipt over them; the tensors follow."""

    receipt: SignedReceipt
    outputs: Headers


class Proof(Record, tag="proof", tag_field="type"):
    """How the evidence ended: the certificate, every ballot the convener holds, and why a part is missing if one is.

    `more` ballots follow in `Ballots`: those of a large committee take more than one frame.
    """

    certificate: Certificate
    ballots: Annotated[tuple[Ballot, ...], Meta(max_length=MAX_PLACES)]
    reason: Line
    more: Annotated[int, Meta(ge=0, le=MAX_PLACES)] = 0


class Ballots(Record, tag="ballots", tag_field="type"):
    """Further ballots of a proof."""

    ballots: Annotated[tuple[Ballot, ...], Meta(min_length=1, max_length=MAX_PLACES)]
