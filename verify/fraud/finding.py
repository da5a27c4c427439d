"""What a node has in hand, looked through for frauds: receipts and ballots of one request, wherever they came from.

Whatever is found is checked as a stranger would check it, so that no peer can have us accuse another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from wire.errors import RecordError
from wire.fraud import (
    MAX_LAZY_BALLOTS,
    MAX_LAZY_ROUNDS,
    Fraud,
    LazyRound,
    LazyVotes,
    TwoCommits,
    TwoReceipts,
    TwoVotes,
    WrongAnswer,
)
from wire.inference import SignedReceipt, SignedRequest
from wire.network import Network
from wire.receiptfile import ReceiptFile
from wire.vote import Ballot, SignedCommit, SignedVote, Verdict

from ..ballots import Case, Sitting
from ..committee import Committee, committee_for
from ..tiers import quorum
from . import holds, lazy


def two_receipts(network: Network, receipts: Sequence[SignedReceipt]) -> TwoReceipts | None:
    """The first two of the receipts that no honest provider signs both."""
    pairs = (TwoReceipts(first=first, second=second) for first, second in combinations(receipts, 2))
    return next((fraud for fraud in pairs if holds(fraud, network)), None)


def two_words(network: Network, request: SignedRequest, ballots: Iterable[Ballot]) -> list[Fraud]:
    """Members of the request's committee who said two things in these ballots, whoever each of them was told to."""
    try:
        committee = committee_for(network, request.request)
    except RecordError:
        return []
    by_member: dict[int, list[Ballot]] = {}
    for ballot in ballots:
        if ballot.member < len(committee.places):
            by_member.setdefault(ballot.member, []).append(ballot)
    return [fraud for member, said in by_member.items() for fraud in _two_words(network, committee, member, said)]


def _two_words(network: Network, committee: Committee, member: int, said: Sequence[Ballot]) -> list[Fraud]:
    public = committee.places[member].key
    pairs: list[Fraud] = []
    # Each word is held against the first on its subject alone: whoever shows ballots can invent or repeat hundreds.
    votes, commits = dict[object, SignedVote](), dict[object, SignedCommit]()
    for ballot in said:
        if (vote := ballot.vote) and vote.is_signed(public, network.domain):
            before = votes.setdefault((vote.vote.receipt, vote.vote.committee, vote.vote.epoch), vote)
            pairs += [TwoVotes(verifier=public, first=before, second=vote)] if before.vote != vote.vote else []
        if (commit := ballot.commit).is_signed(public, network.domain):
            first = commits.setdefault((commit.commit.request, commit.commit.committee, commit.commit.epoch), commit)
            pairs += [TwoCommits(verifier=public, first=first, second=commit)] if first.commit != commit.commit else []
    found = (
        next((f for f in pairs if isinstance(f, kind) and holds(f, network)), None) for kind in (TwoVotes, TwoCommits)
    )
    return [fraud for fraud in found if fraud]


def wrong_answer(
    network: Network, request: SignedRequest, receipt: SignedReceipt, ballots: Iterable[Ballot]
) -> WrongAnswer | None:
    """The wrong answer that these ballots show; None where they are too few, or accuse nobody."""
    try:
        case = Case(Sitting.of(network, request), receipt.receipt)
    except RecordError:
        return None
    refusing = {b.member: b for b in ballots if _refuses(b, receipt) and case.ballot_fault(b) is None}
    # Of these alone, so that nobody is among the signers who accuses nobody.
    rejected = quorum.rejection(network, request, receipt, tuple(refusing.values()))
    if rejected is None:
        return None
    shown = tuple(refusing[member] for member in sorted(refusing))
    fraud = WrongAnswer(request=request, receipt=receipt, rejected=rejected, ballots=shown)
    return fraud if holds(fraud, network) else None


def _refuses(ballot: Ballot, receipt: SignedReceipt) -> bool:
    """Whether it is a refusal by one whose outputs were others."""
    refused = ballot.vote is not None and ballot.vote.vote.verdict == Verdict.REJECT
    return refused and ballot.reveal is not None and ballot.reveal.outputs != receipt.receipt.outputs


def lazy_votes(network: Network, files: Iterable[ReceiptFile]) -> list[LazyVotes]:
    """Reports on the members who look lazy in the receipts of quorum answers that somebody keeps."""
    rounds: dict[bytes, list[LazyRound]] = {}
    for file in files:
        if not file.ballots:
            continue
        try:
            committee = committee_for(network, file.request.request)
        except RecordError:
            continue
        for ballot in file.ballots:
            if ballot.member < len(committee.places) and ballot.reveal:
                beside = [b for b in file.ballots if b.member != ballot.member][: MAX_LAZY_BALLOTS - 1]
                shown = LazyRound(request=file.request, receipt=file.receipt, ballots=(ballot, *beside))
                rounds.setdefault(committee.places[ballot.member].key, []).append(shown)
    reports = (LazyVotes(verifier=key, rounds=tuple(sat[:MAX_LAZY_ROUNDS])) for key, sat in rounds.items())
    return [report for report in reports if all(c.ok for c in lazy.check(report, network))]
