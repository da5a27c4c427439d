"""Tier `quorum`: more than two thirds of a committee's weight executed the model itself and accepted the answer.

A certificate is a bitmap of who accepted and one half-aggregated signature of theirs, in the committee's order. The
checker draws the committee anew; nothing about it is taken from whoever shows the certificate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from wire.certificate import Certificate, QuorumEvidence
from wire.errors import RecordError
from wire.inference import SignedReceipt, SignedRequest
from wire.network import Network
from wire.vote import Ballot, SignedVote, Verdict, Vote

from .. import halfagg
from ..ballots import Case, Sitting
from ..checks import Check, equal
from ..committee import Committee, committee_for


def certify(
    network: Network, committee: Committee, receipt_digest: bytes, votes: Mapping[int, SignedVote]
) -> Certificate:
    """The certificate over the accepting `votes`, by the members' places; ValueError when they are not enough or void.

    Each signature is verified here, alone, since an aggregate can be valid over two invalid ones.
    """
    accept = _accept(committee, receipt_digest)
    members = sorted(votes)
    for i in members:
        if votes[i].vote != accept or not votes[i].is_signed(committee.members[i].key, network.domain):
            raise ValueError(f"the vote of member {i} is void: it cannot be aggregated")
    if not network.accepts(committee.weight(members), committee.total):
        raise ValueError("the accepting votes are not more than the quorum")
    digest = accept.digest(network.domain)
    signatures = [(committee.members[i].key[1:], digest, votes[i].signature) for i in members]
    evidence = QuorumEvidence(
        committee=committee.root,
        epoch=committee.epoch,
        signers=bitmap(members, len(committee.members)),
        aggregate=halfagg.aggregate(signatures),
    )
    return Certificate(tier="quorum", receipt=receipt_digest, quorum=evidence)


def bitmap(members: Sequence[int], size: int) -> bytes:
    """The places of `members` in a committee of `size`: bit i of byte i // 8, least significant first."""
    return sum(1 << i for i in members).to_bytes((size + 7) // 8, "little")


def signers_in(signers: bytes, size: int) -> list[int]:
    """The places that a bitmap names; RecordError for one that does not fit a committee of `size` to the bit."""
    bits = int.from_bytes(signers, "little")
    if len(signers) != (size + 7) // 8 or bits >> size:
        raise RecordError(f"the bitmap of signers does not fit a committee of {size}")
    return [i for i in range(size) if bits >> i & 1]


def check(
    network: Network,
    request: SignedRequest,
    receipt: SignedReceipt,
    certificate: Certificate,
    ballots: Sequence[Ballot],
) -> list[Check]:
    """The committee drawn anew, the certificate against it, then every ballot; see `check_evidence` for the rest."""
    if (evidence := certificate.quorum) is None:
        return [Check("evidence", False, "there is no committee's signature in the certificate")]
    try:
        committee = committee_for(network, request.request)
        members = signers_in(evidence.signers, len(committee.members))
    except RecordError as error:
        return [Check("evidence", False, str(error))]
    case = Case(Sitting(network, committee, request.request.digest(network.domain)), receipt.receipt)
    digest = _accept(committee, case.digest).digest(network.domain)
    weight, total = committee.weight(members), committee.total
    enough = network.accepts(weight, total)
    valid = halfagg.verify(evidence.aggregate, [(committee.members[i].key[1:], digest) for i in members])
    other = "it was signed by another committee than the one drawn for this request"
    return [
        equal("committee", (evidence.committee, evidence.epoch), (committee.root, committee.epoch), other),
        Check(
            "quorum", enough, f"{weight} of {total} in weight accepted" + ("" if enough else ", which is not enough")
        ),
        Check("evidence", valid, "the signers' aggregate" if valid else "the aggregate is not these signers'"),
        _ballots(case, members, ballots),
    ]


def _ballots(case: Case, members: Sequence[int], ballots: Sequence[Ballot]) -> Check:
    """Every ballot is valid, no member has two, and there is an accepting one of each signer."""
    for ballot in ballots:
        if wrong := case.ballot_fault(ballot):
            return Check("ballots", False, f"the ballot of member {ballot.member}: {wrong}")
    if any(a.member >= b.member for a, b in pairwise(ballots)):
        return Check("ballots", False, "they are not one a member, in the committee's order")
    accepting = {b.member for b in ballots if b.vote and b.vote.vote.verdict == Verdict.ACCEPT}
    if missing := set(members) - accepting:
        return Check("ballots", False, f"there is no accepting ballot of member {min(missing)}, who signed")
    return Check("ballots", True, f"{len(ballots)}, each committed before its vote")


def _accept(committee: Committee, receipt_digest: bytes) -> Vote:
    return Vote(receipt=receipt_digest, committee=committee.root, epoch=committee.epoch, verdict=Verdict.ACCEPT)
