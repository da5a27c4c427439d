"""Sampled answers: who decides whether one is checked, and what a check says.

The payer's request carries the hash of a secret; the provider's receipt is fixed before the secret is shown. Secret and
receipt together are the ticket, which says whether the answer is checked and by whom: the payer can't choose after it
saw the answer, the provider can't know before it gave it, and anyone can repeat the draw afterwards.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import U8, Address, Hash32, PublicKey, Signature64, TimeMs
from .canonical import Record
from .cid import content_hash
from .eip712 import Domain, StructType, keccak256
from .keys import NodeKey, schnorr_signed_by
from .vote import Verdict

AUDIT = StructType(
    "Audit", ("bytes32", "receipt"), ("bytes32", "request"), ("bytes32", "model"), ("address", "provider"),
    ("bytes32", "outputs"), ("uint8", "verdict"), ("uint8", "distance"), ("uint64", "checked"),
)  # fmt: skip
UNSEEDED = bytes(32)  # the seed of a request whose tier is not sampled
PANEL = 4  # verifiers who may check one answer, in the order in which they are asked: one check is enough
SHARES = 10_000  # what a network's probability of a check is counted in


class Audit(Record):
    """One verifier's check of an answer that was given already. `outputs` is the hash of the verifier's own.

    `distance` is a bucket as in `wire.vote.Reveal`.
    """

    auditor: PublicKey
    receipt: Hash32
    request: Hash32
    model: Hash32
    provider: Address
    outputs: Hash32
    verdict: Verdict
    distance: U8
    checked_ms: TimeMs

    def digest(self, domain: Domain) -> bytes:
        """What the verifier signs."""
        return AUDIT.digest(
            domain, self.receipt, self.request, self.model, self.provider, self.outputs, int(self.verdict),
            self.distance, self.checked_ms,
        )  # fmt: skip


class SignedAudit(Record):
    """An audit with its verifier's BIP340 signature."""

    audit: Audit
    signature: Signature64

    def is_signed(self, domain: Domain) -> bool:
        """Whether the verifier it names signed it, for this network."""
        return schnorr_signed_by(self.audit.auditor, self.audit.digest(domain), self.signature)


class SampledEvidence(Record):
    """The payer's secret, and the checks that the ticket called for as far as they are made."""

    secret: Hash32
    audits: Annotated[tuple[SignedAudit, ...], Meta(max_length=PANEL)]


def sign_audit(audit: Audit, key: NodeKey, domain: Domain) -> SignedAudit:
    """A verifier's signed audit."""
    return SignedAudit(audit=audit, signature=key.sign_schnorr(audit.digest(domain)))


def seed_of(secret: bytes) -> bytes:
    """What a request says of its payer's secret of 32 bytes."""
    return content_hash(b"hallmark sampled 1" + secret)


def ticket(secret: bytes, receipt: bytes) -> bytes:
    """The 32 bytes that decide: keccak256 of the secret and the receipt's digest, so that a contract can repeat it."""
    return keccak256(secret + receipt)


def is_drawn(drawn_by: bytes, sample_bps: int) -> bool:
    """Whether this ticket calls for a check: as an integer modulo 10,000 it is below the network's share."""
    return int.from_bytes(drawn_by, "big") % SHARES < sample_bps
