"""Rung `sampled`: some answers, drawn by lot, are executed again by a verifier after they were given.

A certificate holds the payer's secret from the start, and the checks as they come. One without a check is no worse than
its probability says; one with a REJECT is refused, since it is no answer to use, whatever a committee will say.
"""

from __future__ import annotations

from wire.audit import SHARES
from wire.inference import SignedRequest
from wire.network import Network
from wire.vote import Verdict

from ..checks import Check
from ..policy import SampledPolicy
from ..sampling import audits_fault, calls_for_check, check_ticket, share_of
from .claim import Claim


def check(claim: Claim, policy: SampledPolicy) -> list[Check]:
    """The secret, the ticket, then every check that was made; see `check_evidence` for the rest. `policy` says with
    which probability the network has to check."""
    if (evidence := claim.certificate.sampled) is None:
        return [Check("evidence", False, "there is no payer's secret in the certificate, so that nobody could check")]
    request, receipt = claim.request.request, claim.receipt.receipt
    wrong = audits_fault(claim.network, request, receipt, evidence.secret, evidence.audits)
    return [
        *check_ticket(claim.network, claim.request, receipt, evidence.secret),
        Check("audits", not wrong, wrong or f"{len(evidence.audits)}, each of a verifier whom the ticket drew"),
        _verdict(claim),
        expected(claim.network, claim.request, policy),
    ]


def expected(network: Network, request: SignedRequest, policy: SampledPolicy) -> Check:
    """What of the policy is decided before anybody answers."""
    share, least = share_of(network, request.request) / SHARES, policy.probability
    often = f"{share:.2%} of answers are checked"
    return Check("policy: probability", share >= least, often + ("" if share >= least else f", you want {least:.2%}"))


def _verdict(claim: Claim) -> Check:
    """Nobody refused it. Whether anybody looked is said."""
    evidence = claim.certificate.sampled
    assert evidence is not None
    refused = sum(said.audit.verdict == Verdict.REJECT for said in evidence.audits)
    if refused:
        return Check("checked", False, f"{refused} of {len(evidence.audits)} who executed the model refused it")
    if evidence.audits:
        return Check("checked", True, f"by {len(evidence.audits)}, after it was given, and found right")
    drawn = calls_for_check(claim.network, claim.request.request, claim.receipt.receipt, evidence.secret)
    return Check("checked", True, "drawn to be checked, and not checked" if drawn else "not drawn, so by nobody")


def rests_on(claim: Claim) -> tuple[str, ...]:
    """The trust that is left."""
    evidence = claim.certificate.sampled
    assert evidence is not None
    share = f"{share_of(claim.network, claim.request.request) / SHARES:.2%}"
    lot = (
        f"The lot: each answer is checked with probability {share}, which neither payer nor provider could steer "
        "without the other. A provider that lies now and then is found in the end, and not at once."
    )
    if count := len(evidence.audits):
        who = "the verifier who" if count == 1 else f"the {count} verifiers who"
        return (f"The word of {who} executed the model after the answer was given, drawn by lot.", lot)
    return ("The provider, for this answer: nobody else executed the model for it.", lot)
