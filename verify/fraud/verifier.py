"""A verifier that said two things where it has one word: two votes on a receipt, two commits on a request.

An honest one never does, crashes included: it keeps its ballot before its vote leaves, and takes no request that is
older than its own start.
"""

from __future__ import annotations

from wire.fraud import TwoCommits, TwoVotes
from wire.keys import peer_id_of
from wire.network import Network, Registry
from wire.vote import SignedCommit, SignedVote

from ..checks import Check, equal


def check_votes(fraud: TwoVotes, network: Network) -> list[Check]:
    """One receipt, one committee, two verdicts, one signer."""
    first, second = fraud.first.vote, fraud.second.vote
    differ = first.verdict != second.verdict
    return [
        _listed(fraud.verifier, network),
        equal("receipt", second.receipt, first.receipt, "the two votes are on different receipts"),
        _committee((first.committee, first.epoch), (second.committee, second.epoch)),
        Check("differ", differ, "the two votes say different things" if differ else "both votes say the same"),
        *_signatures(fraud.verifier, network, fraud.first, fraud.second),
    ]


def check_commits(fraud: TwoCommits, network: Network) -> list[Check]:
    """One request, one committee, two commitments, one signer."""
    first, second = fraud.first.commit, fraud.second.commit
    differ = first.commitment != second.commitment
    return [
        _listed(fraud.verifier, network),
        equal("request", second.request, first.request, "the two commits are on different requests"),
        _committee((first.committee, first.epoch), (second.committee, second.epoch)),
        Check("differ", differ, "they commit to different outputs" if differ else "both commits are the same"),
        *_signatures(fraud.verifier, network, fraud.first, fraud.second),
    ]


def tell_votes(fraud: TwoVotes) -> str:
    """What it shows."""
    said = " and ".join(sorted(vote.vote.verdict.name for vote in (fraud.first, fraud.second)))
    return f"verifier {peer_id_of(fraud.verifier)} voted on one receipt twice: {said}"


def tell_commits(fraud: TwoCommits) -> str:
    """What it shows."""
    return f"verifier {peer_id_of(fraud.verifier)} committed on one request twice, to different outputs"


def _listed(public: bytes, network: Network) -> Check:
    # By all 33 bytes: a key of the other parity has the same signatures, and the address of nobody.
    registries: tuple[Network | Registry, ...] = (network, *network.past)
    listed = any(verifier.key == public for registry in registries for verifier in registry.verifiers)
    return Check("verifier", listed, "the network file lists it" if listed else "nobody whom the network file lists")


def _committee(first: tuple[bytes, int], second: tuple[bytes, int]) -> Check:
    return equal("committee", second, first, "they are of two committees: a registry may have changed in between")


def _signatures(
    public: bytes, network: Network, first: SignedVote | SignedCommit, second: SignedVote | SignedCommit
) -> list[Check]:
    wrong = "not this verifier's, or not for this network"
    checks = []
    for name, said in (("first signature", first), ("second signature", second)):
        ok = said.is_signed(public, network.domain)
        checks.append(Check(name, ok, "the verifier's" if ok else wrong))
    return checks
