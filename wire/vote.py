"""A committee member's three words on one answer: commit, reveal, vote; and the stream they are said on.

    convener → verifier   Convene, then the input tensors      (the payer's signed request; nobody else can start one)
    verifier → convener   Committed                            (after executing, before it can see the answer)
    convener → verifier   Judge, then the provider's outputs
    verifier → convener   Judged                               (reveal and vote)

A commit binds the voter's key, so a copied one can't be opened. Both sides execute at once; the answer is shown to a
verifier only after its own commit. What it sealed can be opened in part: who computed nothing has nothing to show.

A generator's members are called when its answer is there, and `Convene` brings what their check needs of it: all that
the provider signed but the scores. These they seal of their own, and see the provider's in `Judge` (`wire.generation`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from .bounds import MAX_TENSOR_BYTES, MAX_TENSORS, U8, U32, U63, Hash32, Signature64
from .canonical import Record
from .cid import content_hash
from .eip712 import Domain, StructType
from .keys import NodeKey, schnorr_signed_by

COMMIT = StructType(
    "Commit", ("bytes32", "request"), ("bytes32", "committee"), ("uint64", "epoch"), ("bytes32", "commitment")
)
VOTE = StructType("Vote", ("bytes32", "receipt"), ("bytes32", "committee"), ("uint64", "epoch"), ("uint8", "verdict"))
NOTHING = bytes(32)  # a commitment of zeros: the verifier abstains
BLOCK = 1024  # bytes of a tensor that are opened at once
WHOLE = 4096  # outputs of no more bytes are opened as a whole
MAX_BLOCKS = MAX_TENSOR_BYTES // BLOCK + MAX_TENSORS  # each tensor's last one may be short
MAX_OPENED = WHOLE // BLOCK + MAX_TENSORS  # blocks in one opening
MAX_PATH = (MAX_BLOCKS - 1).bit_length()


class Verdict(IntEnum):
    """ABSTAIN (no such model, overloaded, out of time) neither accepts nor accuses."""

    ACCEPT = 1
    REJECT = 2
    ABSTAIN = 3


class Commit(Record):
    """A verifier's sealed word on a request: the hash of its own outputs, before it saw any other."""

    request: Hash32
    committee: Hash32
    epoch: U63
    commitment: Hash32

    def digest(self, domain: Domain) -> bytes:
        return COMMIT.digest(domain, self.request, self.committee, self.epoch, self.commitment)


class Opening(Record):
    """A part of a verifier's own outputs, and what shows that it had sealed it: all blocks of small outputs, and of
    larger ones the one block whose place nobody chose, with its way up the tree of `verify.openings`.
    """

    count: Annotated[int, Meta(ge=0, le=MAX_BLOCKS)]  # blocks in all
    blocks: Annotated[tuple[Annotated[bytes, Meta(min_length=1, max_length=BLOCK)], ...], Meta(max_length=MAX_OPENED)]
    path: Annotated[tuple[Hash32, ...], Meta(max_length=MAX_PATH)]


class Reveal(Record):
    """What the commitment sealed, how far apart the two answers were, and a look at the verifier's own.

    `root` is that of the blocks of its outputs. `distance` is a bucket: 0 for bit-identical, else 1 + the number of
    decimal digits by which max|Δ| / max|y| exceeds 1e-12, and 255 where it is not finite or the outputs cannot be
    compared. Nothing signs it, since equal verdicts have equal digests: it is a remark, held to the tolerance.
    `opening` is None where the outputs are the provider's to the bit: then its own are what was sealed.
    """

    outputs: Hash32
    root: Hash32
    salt: Hash32
    distance: U8
    opening: Opening | None


class Vote(Record):
    """The verdict on a receipt. Nothing of the voter stands in it, so that equal verdicts have equal digests."""

    receipt: Hash32
    committee: Hash32
    epoch: U63
    verdict: Verdict

    def digest(self, domain: Domain) -> bytes:
        return VOTE.digest(domain, self.receipt, self.committee, self.epoch, self.verdict)


class SignedCommit(Record):
    """A commit with its verifier's BIP340 signature."""

    commit: Commit
    signature: Signature64

    def is_signed(self, public: bytes, domain: Domain) -> bool:
        return schnorr_signed_by(public, self.commit.digest(domain), self.signature)


class SignedVote(Record):
    """A vote with its verifier's BIP340 signature, the part that certificates aggregate."""

    vote: Vote
    signature: Signature64

    def is_signed(self, public: bytes, domain: Domain) -> bool:
        return schnorr_signed_by(public, self.vote.digest(domain), self.signature)


class Ballot(Record):
    """All one member said, kept as evidence. `member` is its place in the committee."""

    member: U32
    commit: SignedCommit
    reveal: Reveal | None
    vote: SignedVote | None


def commitment(public: bytes, request: bytes, outputs: bytes, root: bytes, salt: bytes) -> bytes:
    """What a verifier commits to: its key, the request, its own outputs by hash and by blocks, 32 random bytes."""
    return content_hash(b"hallmark commitment 2" + public + request + outputs + root + salt)


def sign_commit(commit: Commit, key: NodeKey, domain: Domain) -> SignedCommit:
    """A verifier's signed commit."""
    return SignedCommit(commit=commit, signature=key.sign_schnorr(commit.digest(domain)))


def sign_vote(vote: Vote, key: NodeKey, domain: Domain) -> SignedVote:
    """A verifier's signed vote."""
    return SignedVote(vote=vote, signature=key.sign_schnorr(vote.digest(domain)))
