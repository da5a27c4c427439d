"""When a committee judges an answer of tier sampled: after one drawn verifier refused it, and within its time.

The same committee as for a quorum, drawn from the request, judges it in the same round; only the time is another, since
the answer was given long before. Without a refusal that holds there is no appeal: a payer can't call a committee for
the price of a lot.
"""

from __future__ import annotations

from wire.auditing import Appeal
from wire.errors import RecordError
from wire.inference import SignedRequest
from wire.network import Network
from wire.tier import rungs_of
from wire.vote import Verdict

from .sampling import audits_fault, check_asked_and_answered, open_until


def check_appeal(network: Network, request: SignedRequest, appeal: Appeal) -> None:
    """RecordError unless a verifier that the ticket drew refused this answer."""
    evidence, receipt = appeal.evidence, appeal.receipt
    check_asked_and_answered(network, request, receipt, evidence.secret)
    if wrong := audits_fault(network, request.request, receipt.receipt, evidence.secret, evidence.audits):
        raise RecordError(f"a check does not hold: {wrong}")
    if not any(said.audit.verdict == Verdict.REJECT for said in evidence.audits):
        raise RecordError("no verifier refused the answer")


def judged_until(network: Network, request: SignedRequest, appeal: Appeal | None) -> int:
    """Until when a committee may judge this request: milliseconds UTC. RecordError where none may at all."""
    if "quorum" in rungs_of(request.request.tier):
        return request.request.deadline_ms
    if appeal is None:
        raise RecordError(f"tier {request.request.tier} has no committee")
    check_appeal(network, request, appeal)
    return open_until(request.request)
