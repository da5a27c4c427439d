"""The ladder: one door to what proves an answer, whatever its tier. A module a rung stands in `tiers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wire.inference import SignedRequest
from wire.manifest import Manifest
from wire.network import Network
from wire.tier import Rung, rungs_of

from .checks import Check, equal
from .policy import STRICT, Policy
from .tiers import quorum, sampled, signed, tee, zk
from .tiers.claim import Claim


@dataclass(frozen=True)
class _Module:
    check: Callable[[Claim, Policy], list[Check]]
    rests_on: Callable[[Claim], tuple[str, ...]]


_RUNGS: dict[Rung, _Module] = {
    "signed": _Module(lambda claim, _: signed.check(claim), signed.rests_on),
    "sampled": _Module(lambda claim, policy: sampled.check(claim, policy.sampled), sampled.rests_on),
    "quorum": _Module(lambda claim, policy: quorum.check(claim, policy.quorum), quorum.rests_on),
    "tee": _Module(lambda claim, policy: tee.check(claim, policy.tee), tee.rests_on),
    "zk": _Module(lambda claim, policy: zk.check(claim, policy.zk), zk.rests_on),
}
_PARTS: tuple[Rung, ...] = ("quorum", "sampled", "tee", "zk")  # rungs with a field of their own in a certificate


def check_evidence(claim: Claim, policy: Policy = STRICT) -> list[Check]:
    """Does this evidence prove the receipt in the tier that the *request* asked for? No other tier will do.

    Signatures and bindings of request and receipt are `receipts.check_binding`'s; a proof needs both. `policy` is
    what its reader is ready to believe.
    """
    asked, got = claim.request.request.tier, claim.certificate.tier
    checks = [
        equal("certificate tier", got, asked, f"the certificate is of tier {got}, {asked} was asked for"),
        equal("certified receipt", claim.certificate.receipt, claim.digest, "the certificate is for another receipt"),
        _bare(claim),
        policy.check_tier(asked),
    ]
    for rung in rungs_of(asked):
        checks += _RUNGS[rung].check(claim, policy)
    return checks


def check_expected(network: Network, request: SignedRequest, manifest: Manifest, policy: Policy) -> list[Check]:
    """What `policy` would refuse whatever the answer is: so that nobody is asked, shown an input or paid for that.

    What it says of attestations and circuits is decided by what a provider shows.
    """
    rungs, checks = rungs_of(request.request.tier), [policy.check_tier(request.request.tier)]
    if "sampled" in rungs:
        checks.append(sampled.expected(network, request, policy.sampled))
    if "quorum" in rungs:
        checks += quorum.expected(network, request, manifest, policy.quorum)
    return checks


def rests_on(claim: Claim) -> tuple[str, ...]:
    """What is left to be trusted when every check holds, in plain sentences."""
    return tuple(sentence for rung in rungs_of(claim.request.request.tier) for sentence in _RUNGS[rung].rests_on(claim))


def _bare(claim: Claim) -> Check:
    """Nothing that would look like more than was asked for."""
    asked = rungs_of(claim.request.request.tier)
    more = [rung for rung in _PARTS if rung not in asked and getattr(claim.certificate, rung) is not None]
    if claim.ballots and "quorum" not in asked:
        more.append("quorum")
    wrong = f"a {claim.request.request.tier} answer has none of {' and '.join(more)}, this one claims some"
    return Check("no other evidence", not more, wrong if more else "none")
