"""Rung `signed`: the provider's signature on the receipt is all the evidence."""

from __future__ import annotations

from wire.certificate import Certificate

from ..checks import Check
from .claim import Claim


def certify(receipt_digest: bytes) -> Certificate:
    """The certificate of a signed receipt."""
    return Certificate(tier="signed", receipt=receipt_digest)


def check(claim: Claim) -> list[Check]:
    """The provider's signature."""
    signed = claim.receipt.is_signed(claim.network.domain)
    return [
        Check("evidence", signed, "the provider's signature" if signed else "the receipt is not signed by its provider")
    ]


def rests_on(_: Claim) -> tuple[str, ...]:
    """The trust that is left."""
    return ("The provider alone: it signed this answer, and nobody else executed the model to check it.",)
