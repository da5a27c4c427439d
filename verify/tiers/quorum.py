"""Rung `quorum`: more than two thirds of a committee's weight executed the model itself and accepted the answer.

A certificate is a bitmap of who accepted and one half-aggregated signature of theirs, in the order of the places. The
checker draws the committee anew, from the registry that was in force when the request was issued; nothing about it is
taken from whoever shows the certificate. The same over REJECT votes certifies that the committee refused a receipt: no
proof of an answer, but of a provider that signed a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from wire.certificate import QuorumEvidence
from wire.errors import RecordError
from wire.inference import Request, SignedReceipt, SignedRequest
from wire.manifest import Manifest
from wire.network import Network
from wire.vote import Ballot, SignedVote, Verdict, Vote

from .. import halfagg
from ..ballots import Case, Sitting
from ..checks import Check, equal
from ..committee import Committee, committee_for, draw
from ..musig import group
from ..policy import QuorumPolicy
from ..sealing import sealed
from .claim import Claim


def certify(
    network: Network,
    committee: Committee,
    receipt_digest: bytes,
    votes: Mapping[int, SignedVote],
    verdict: Verdict = Verdict.ACCEPT,
) -> QuorumEvidence:
    """The evidence over the `votes` for this verdict, by their places; ValueError when they are not enough or void.

    Each signature is verified here, alone, since an aggregate can be valid over two invalid ones.
    """
    vote = _vote(committee, receipt_digest, verdict)
    places = sorted(votes)
    for i in places:
        if votes[i].vote != vote or not votes[i].is_signed(committee.places[i].key, network.domain):
            raise ValueError(f"the vote of member {i} is void: it cannot be aggregated")
    if not committee.carries(committee.weight(places)):
        raise ValueError(f"the {verdict.name} votes are not more than the quorum")
    digest = vote.digest(network.domain)
    signatures = [(committee.places[i].key[1:], digest, votes[i].signature) for i in places]
    return QuorumEvidence(
        committee=committee.root,
        epoch=committee.epoch,
        signers=bitmap(places, len(committee.places)),
        aggregate=halfagg.aggregate(signatures),
    )


def rejection(
    network: Network, request: SignedRequest, receipt: SignedReceipt, ballots: Sequence[Ballot]
) -> QuorumEvidence | None:
    """The evidence that the committee rejected this receipt, of its valid ballots; None when they are not enough.

    RecordError when there is no committee for the request.
    """
    case = Case(Sitting.of(network, request), receipt.receipt, None)
    votes = {
        b.member: b.vote
        for b in ballots
        if b.vote and b.vote.vote.verdict == Verdict.REJECT and case.ballot_fault(b) is None
    }
    if not case.sitting.committee.carries(case.sitting.committee.weight(votes)):
        return None
    return certify(network, case.sitting.committee, case.digest, votes, Verdict.REJECT)


def bitmap(members: Sequence[int], size: int) -> bytes:
    """The bits of these places in a committee of `size`: bit i of byte i // 8, least significant first."""
    return sum(1 << i for i in members).to_bytes((size + 7) // 8, "little")


def signers_in(signers: bytes, size: int) -> list[int]:
    """The places that a bitmap names; RecordError for one that does not fit a committee of `size` to the bit."""
    bits = int.from_bytes(signers, "little")
    if len(signers) != (size + 7) // 8 or bits >> size:
        raise RecordError(f"the bitmap of signers does not fit a committee of {size}")
    return [i for i in range(size) if bits >> i & 1]


def signers(network: Network, request: SignedRequest, evidence: QuorumEvidence) -> tuple[Committee, list[int]]:
    """The committee drawn anew, and the places of it that the evidence names; RecordError when it can't be."""
    committee = committee_for(network, request.request)
    return committee, signers_in(evidence.signers, len(committee.places))


def _is_theirs(evidence: QuorumEvidence, keys: tuple[bytes, ...], digest: bytes) -> bool:
    if evidence.form == "halfagg":
        return halfagg.verify(evidence.aggregate, [(key[1:], digest) for key in keys])
    try:
        return group(keys).signed(digest, evidence.aggregate)
    except RecordError:  # nobody, or more than can sign together
        return False


def check_aggregate(
    network: Network,
    request: SignedRequest,
    receipt_digest: bytes,
    evidence: QuorumEvidence,
    verdict: Verdict = Verdict.ACCEPT,
) -> list[Check]:
    """Did the committee of this request, drawn anew, give this verdict on this receipt? Three checks, or a failed one.

    Request and receipt are the caller's to check: their signatures, and that they belong together.
    """
    try:
        committee, places = signers(network, request, evidence)
    except RecordError as error:
        return [Check("evidence", False, str(error))]
    digest = _vote(committee, receipt_digest, verdict).digest(network.domain)
    weight = committee.weight(places)
    enough = committee.carries(weight)
    said = {Verdict.ACCEPT: "accepted", Verdict.REJECT: "rejected", Verdict.ABSTAIN: "abstained"}[verdict]
    valid = _is_theirs(evidence, tuple(committee.places[i].key for i in places), digest)
    other = "it was signed by another committee than the one drawn for this request"
    if evidence.epoch != committee.epoch:
        other += f": it is of epoch {evidence.epoch}, the network file says {committee.epoch} for that time"
    return [
        equal("committee", (evidence.committee, evidence.epoch), (committee.root, committee.epoch), other),
        Check(
            "quorum",
            enough,
            f"{weight} of {committee.total} in weight {said}" + ("" if enough else ", which is not enough"),
        ),
        Check("evidence", valid, "the signers' aggregate" if valid else "the aggregate is not these signers'"),
    ]


def check(claim: Claim, policy: QuorumPolicy) -> list[Check]:
    """The committee drawn anew, the certificate against it, then every ballot, and whether that is good enough."""
    network, request = claim.network, claim.request
    if (evidence := claim.certificate.quorum) is None:
        return [Check("evidence", False, "there is no committee's signature in the certificate")]
    checks = check_aggregate(network, request, claim.digest, evidence)
    try:
        case = Case(Sitting.of(network, request), claim.receipt.receipt, sealed(claim.manifest, claim.outputs))
        places = signers_in(evidence.signers, len(case.sitting.committee.places))
    except RecordError as error:
        return [*checks, Check("ballots", False, str(error))]
    profile, weight = claim.receipt.receipt.runtime.profile, case.sitting.committee.weight(places)
    enough = _good_enough(request.request, case.sitting, weight, profile, policy)
    return [*checks, _ballots(case, places, claim.ballots), *enough]


def _good_enough(asked: Request, sitting: Sitting, weight: int, profile: str, policy: QuorumPolicy) -> list[Check]:
    usual = sitting.committee  # of the size that the network file says
    if asked.committee:
        usual = draw(sitting.network, sitting.request, (asked.provider, asked.payer))
    return policy.check(
        members=len(sitting.committee.members),
        usual=len(usual.members),
        weight=weight,
        profile=profile,
        tolerance=sitting.network.tolerance(profile),
    )


def expected(network: Network, request: SignedRequest, manifest: Manifest, policy: QuorumPolicy) -> list[Check]:
    """What of the policy is decided before anybody answers: the committee, and the most that could accept. Nothing
    where nobody may judge: who is asked will say so."""
    try:
        sitting = Sitting.of(network, request)
    except RecordError:
        return []
    return _good_enough(request.request, sitting, sum(sitting.committee.counts), manifest.profile, policy)


def _ballots(case: Case, places: Sequence[int], ballots: Sequence[Ballot]) -> Check:
    """Every ballot is valid, no member has two, and there is an accepting one of each signer."""
    for ballot in ballots:
        if wrong := case.ballot_fault(ballot):
            return Check("ballots", False, f"the ballot of member {ballot.member}: {wrong}")
    if any(a.member >= b.member for a, b in pairwise(ballots)):
        return Check("ballots", False, "they are not one a member, in the committee's order")
    accepting = {b.member for b in ballots if b.vote and b.vote.vote.verdict == Verdict.ACCEPT}
    if missing := set(places) - accepting:
        return Check("ballots", False, f"there is no accepting ballot of member {min(missing)}, who signed")
    return Check("ballots", True, f"{len(ballots)}, each committed before its vote")


def _vote(committee: Committee, receipt_digest: bytes, verdict: Verdict) -> Vote:
    return Vote(receipt=receipt_digest, committee=committee.root, epoch=committee.epoch, verdict=verdict)


def rests_on(claim: Claim) -> tuple[str, ...]:
    """The trust that is left."""
    network, asked = claim.network.at(claim.request.request.issued_ms), claim.request.request.committee
    assert claim.certificate.quorum is not None
    committee, places = signers(network, claim.request, claim.certificate.quorum)
    count, reserves, listed = len(committee.members), len(committee.bench), len(network.verifiers)
    numerator, denominator = committee.quorum
    share = "two thirds" if (numerator, denominator) == (2, 3) else f"{numerator}/{denominator}"
    weights = _weights(network)
    profile = claim.receipt.receipt.runtime.profile
    tolerance = network.tolerance(profile)
    near = "only a bit-identical answer" if tolerance is None else f"an answer within {tolerance:g} of its own"
    what = "the largest output"
    if claim.manifest.interface == "generate":  # text and tokens that follow from these numbers are its own, or tied
        what = "the model's logits: each token is the one it drew itself, or was nearly tied with that"
    few = f" {asked} were asked for, and more may not judge." if asked > count else ""
    stood = f" {reserves} in reserve may stand in for the silent." if reserves else ""
    return (
        f"More than {share} of the weight of a committee of {count}, drawn from the {listed} verifiers that the "
        f"network file {network.name} lists for epoch {committee.epoch}: {weights}.{few}{stood} {len(places)} of "
        f"{len(committee.places)} executed the model and signed.",
        source_of(network),
        "Whoever asked: the beacon is known beforehand, so that a payer could try requests until it liked a committee.",
        f"Its rule for profile {profile}: a verifier accepts {near}, relative to {what}.",
    )


def _weights(network: Network) -> str:
    if _is_chained(network):
        return "each counts the tokens that stood behind it"
    if len({v.weight for v in network.verifiers}) == 1:
        return "they have equal weight, because no bonds are behind them"
    return "each has the weight listed there"


def source_of(network: Network) -> str:
    """Who says who may judge, and what seeds the draw."""
    if _is_chained(network):
        return (
            f"What chain {network.chain_id} said when that epoch was opened, as the network file has kept it: who had "
            "a bond as a verifier, and the beacon that seeds the draw, which who made that block could bend a little."
        )
    return "Whoever wrote that network file: it chose the verifiers, and the beacon that seeds the draw."


def _is_chained(network: Network) -> bool:
    """Whether this epoch is the chain's: the file's own first one has always been."""
    return network.chain is not None and network.from_ms > 0
