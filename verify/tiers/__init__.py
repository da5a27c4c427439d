"""What proves an answer, per tier: a module a tier, and here the one door that picks among them.

May import `wire` and the rest of `verify`.
"""

from __future__ import annotations

from collections.abc import Sequence

from wire.certificate import Certificate
from wire.inference import SignedReceipt, SignedRequest
from wire.network import Network
from wire.vote import Ballot

from ..checks import Check, equal
from . import quorum, signed

_TIERS = {"signed": signed.check, "quorum": quorum.check}


def check_evidence(
    network: Network,
    request: SignedRequest,
    receipt: SignedReceipt,
    certificate: Certificate,
    ballots: Sequence[Ballot],
) -> list[Check]:
    """Does this evidence prove the receipt in the tier that the *request* asked for? No other tier will do.

    Signatures and bindings of request and receipt are `receipts.check_binding`'s; a proof needs both.
    """
    asked, got = request.request.tier, certificate.tier
    digest = receipt.receipt.digest(network.domain)
    checks = [
        equal("certificate tier", got, asked, f"the certificate is of tier {got}, {asked} was asked for"),
        equal("certified receipt", certificate.receipt, digest, "the certificate is for another receipt"),
    ]
    if (check := _TIERS.get(asked)) is None:
        return [*checks, Check("evidence", False, f"this release cannot check tier {asked}")]
    return [*checks, *check(network, request, receipt, certificate, ballots)]
