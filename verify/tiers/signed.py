"""Tier `signed`: the provider's signature on the receipt is all the evidence, so there must be no other."""

from __future__ import annotations

from collections.abc import Sequence

from wire.certificate import Certificate
from wire.inference import SignedReceipt, SignedRequest
from wire.network import Network
from wire.vote import Ballot

from ..checks import Check


def certify(receipt_digest: bytes) -> Certificate:
    """The certificate of a signed receipt."""
    return Certificate(tier="signed", receipt=receipt_digest, quorum=None)


def check(
    network: Network,
    request: SignedRequest,  # noqa: ARG001  every tier is asked alike
    receipt: SignedReceipt,
    certificate: Certificate,
    ballots: Sequence[Ballot],
) -> list[Check]:
    """The provider's signature, and nothing that would look like more."""
    signed = receipt.is_signed(network.domain)
    bare = certificate.quorum is None and not ballots
    return [
        Check(
            "evidence", signed, "the provider's signature" if signed else "the receipt is not signed by its provider"
        ),
        Check("no other evidence", bare, "none" if bare else "a signed answer has no committee, this one claims some"),
    ]
