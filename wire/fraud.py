"""Fraud files: one file each that shows, to anybody and offline, that a peer broke its word.

A verifier that votes or commits twice, a provider that signs two receipts for one request, and an answer that its
committee refused can be settled by a contract: `digest` is a typed struct over digests that a contract computes too. A
report on lazy votes accuses nobody: it is a reason to look, and says so.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from .bounds import MAX_PLACES, MIB, U63, Address, Name, PublicKey
from .canonical import Record, encode
from .certificate import QuorumEvidence
from .cid import content_hash
from .eip712 import Domain, StructType
from .inference import SignedReceipt, SignedRequest
from .keys import address_of
from .vote import Ballot, SignedCommit, SignedVote

FRAUD = StructType(
    "Fraud", ("uint8", "kind"), ("address", "culprit"), ("bytes32", "subject"), ("bytes32", "first"),
    ("bytes32", "second"),
)  # fmt: skip
MAX_FRAUD_FILE = 4 * MIB
MAX_LAZY_ROUNDS = 32  # so that a report with all ballots fits its file
MAX_LAZY_BALLOTS = 16  # of one round: those beside whom the member looks lazy


class FraudKind(IntEnum):
    """What was done. All but LAZY_VOTES can be settled."""

    TWO_VOTES = 1
    TWO_COMMITS = 2
    TWO_RECEIPTS = 3
    WRONG_ANSWER = 4
    LAZY_VOTES = 5


class TwoVotes(Record, tag="two_votes", tag_field="type"):
    """A member of a committee voted on one receipt twice, and differently."""

    verifier: PublicKey
    first: SignedVote
    second: SignedVote


class TwoCommits(Record, tag="two_commits", tag_field="type"):
    """A member of a committee committed on one request twice, and differently."""

    verifier: PublicKey
    first: SignedCommit
    second: SignedCommit


class TwoReceipts(Record, tag="two_receipts", tag_field="type"):
    """A provider answered one request twice, and differently."""

    first: SignedReceipt
    second: SignedReceipt


class WrongAnswer(Record, tag="wrong_answer", tag_field="type"):
    """More than the quorum of the request's committee executed the model, and refused the provider's answer.

    `rejected` is the aggregate of the REJECT votes; the signers' ballots show that their own outputs were others.
    """

    request: SignedRequest
    receipt: SignedReceipt
    rejected: QuorumEvidence
    ballots: Annotated[tuple[Ballot, ...], Meta(max_length=MAX_PLACES)]


class LazyRound(Record):
    """One round of a member, beside others: their ballots as the certificate's file has them."""

    request: SignedRequest
    receipt: SignedReceipt
    ballots: Annotated[tuple[Ballot, ...], Meta(min_length=1, max_length=MAX_LAZY_BALLOTS)]


class LazyVotes(Record, tag="lazy_votes", tag_field="type"):
    """A member's words over several rounds, in which it looks as if it had not executed anything."""

    verifier: PublicKey
    rounds: Annotated[tuple[LazyRound, ...], Meta(min_length=1, max_length=MAX_LAZY_ROUNDS)]


Fraud = TwoVotes | TwoCommits | TwoReceipts | WrongAnswer | LazyVotes
KIND: dict[type[Fraud], FraudKind] = {
    TwoVotes: FraudKind.TWO_VOTES,
    TwoCommits: FraudKind.TWO_COMMITS,
    TwoReceipts: FraudKind.TWO_RECEIPTS,
    WrongAnswer: FraudKind.WRONG_ANSWER,
    LazyVotes: FraudKind.LAZY_VOTES,
}


class FraudFile(Record):
    """A fraud with the network that it happened on: all that a stranger needs besides the network file."""

    format: Annotated[int, Meta(ge=1, le=1)]
    network: Name
    chain_id: U63
    contract: Address
    fraud: Fraud


def culprit_of(fraud: Fraud) -> bytes:
    """The address of whom the fraud accuses."""
    if isinstance(fraud, TwoReceipts):
        return fraud.first.receipt.provider
    if isinstance(fraud, WrongAnswer):
        return fraud.receipt.receipt.provider
    return address_of(fraud.verifier)


def fraud_digest(fraud: Fraud, domain: Domain) -> bytes:
    """The 32 bytes that name a fraud, the same whoever shows it and in whichever order.

    `subject` is what there may be one word on, `first` and `second` are the digests of the two words, in order. Of a
    wrong answer they are the receipt's and zeros; of lazy votes the hash of the report, and zeros.
    """
    kind, culprit = KIND[type(fraud)], culprit_of(fraud)
    if isinstance(fraud, TwoVotes):
        subject, words = fraud.first.vote.receipt, (fraud.first.vote.digest(domain), fraud.second.vote.digest(domain))
    elif isinstance(fraud, TwoCommits):
        subject = fraud.first.commit.request
        words = (fraud.first.commit.digest(domain), fraud.second.commit.digest(domain))
    elif isinstance(fraud, TwoReceipts):
        subject = fraud.first.receipt.request
        words = (fraud.first.receipt.digest(domain), fraud.second.receipt.digest(domain))
    elif isinstance(fraud, WrongAnswer):
        # The evidence may be signed by these members or by those: the wrong answer is one.
        receipt = fraud.receipt.receipt
        return FRAUD.digest(domain, kind, culprit, receipt.request, receipt.digest(domain), bytes(32))
    else:
        return FRAUD.digest(domain, kind, culprit, bytes(32), content_hash(encode(fraud)), bytes(32))
    first, second = sorted(words)
    return FRAUD.digest(domain, kind, culprit, subject, first, second)
