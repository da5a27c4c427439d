"""What a verifier says: by the product's own `Member` and real signatures, or by a double that is five times as fast.

The double makes the same records, in the same order, by the same rules; only its signatures are hashes that anybody
could make, and nobody here does. The round that hears it, the draw, and every check of a word but the signature's are
the product's in both. A test holds the two to the same run, event by event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from typing_extensions import override

from verify.committee import Committee
from verify.member import Member
from verify.openings import Outputs, place_of
from verify.tolerance import Comparison, compare
from wire.arrays import from_array
from wire.cid import content_hash
from wire.eip712 import Domain
from wire.errors import RemoteError
from wire.inference import SignedReceipt, SignedRequest
from wire.keys import NodeKey
from wire.manifest import Manifest
from wire.network import Network
from wire.tensors import tensor_set
from wire.vote import (
    Commit,
    Reveal,
    SignedCommit,
    SignedVote,
    Verdict,
    Vote,
    commitment,
    sign_commit,
    sign_vote,
)

TOLERANCE = 1e-5


class Answer:
    """Outputs of an execution: the model's, or a lie."""

    def __init__(self, *values: float) -> None:
        self.tensors = (from_array("scores", np.array([values], dtype=np.float32)),)
        self.sealed = Outputs(self.tensors)
        self.hash = tensor_set(self.tensors).hash()


TRUE, FALSE = Answer(0.5, -2.0, 1.25), Answer(0.5, -2.0, 1.5)


@dataclass(frozen=True)
class Asked:
    """What is judged: one request, and the committee that was drawn for it."""

    network: Network
    manifest: Manifest
    request: SignedRequest
    committee: Committee
    digest: bytes


class Sitter(Protocol):
    """One verifier's side of one request."""

    def commit(self) -> SignedCommit:
        """After its execution."""

    def judge(self, receipt: SignedReceipt, answer: Answer, now_ms: int) -> tuple[Reveal, SignedVote] | None:
        """Once it was shown the answer; None when it refuses to."""


@dataclass(frozen=True)
class Words:
    """How verifiers speak: `sit(asked, key, its own outputs, ms)`, and how they sign."""

    sit: Callable[[Asked, NodeKey, Answer, int], Sitter]
    sign_commit: Callable[[Commit, NodeKey, Domain], SignedCommit]
    sign_vote: Callable[[Vote, NodeKey, Domain], SignedVote]


def salt_of(key: NodeKey, digest: bytes) -> bytes:
    """32 bytes that a run can repeat."""
    return content_hash(b"salt" + key.public + digest)


class _Real(Sitter):
    def __init__(self, asked: Asked, key: NodeKey, own: Answer, now_ms: int) -> None:
        self._asked, self._own, self._salt = asked, own, salt_of(key, asked.digest)
        self._member = Member(asked.network, key, asked.request, now_ms)

    @override
    def commit(self) -> SignedCommit:
        return self._member.commit(self._asked.manifest, self._own.tensors, self._salt).commit

    @override
    def judge(self, receipt: SignedReceipt, answer: Answer, now_ms: int) -> tuple[Reveal, SignedVote] | None:
        try:
            judged = self._member.judge(receipt, answer.tensors, now_ms)
        except RemoteError:
            return None
        return judged.reveal, judged.vote


class _HashedCommit(SignedCommit):
    @override
    def is_signed(self, public: bytes, domain: Domain) -> bool:
        return self.signature == _hashed(public, self.commit.digest(domain))


class _HashedVote(SignedVote):
    @override
    def is_signed(self, public: bytes, domain: Domain) -> bool:
        return self.signature == _hashed(public, self.vote.digest(domain))


def _hashed(public: bytes, digest: bytes) -> bytes:
    return content_hash(b"no signature" + public + digest) * 2


def _hash_commit(commit: Commit, key: NodeKey, domain: Domain) -> SignedCommit:
    return _HashedCommit(commit=commit, signature=_hashed(key.public, commit.digest(domain)))


def _hash_vote(vote: Vote, key: NodeKey, domain: Domain) -> SignedVote:
    return _HashedVote(vote=vote, signature=_hashed(key.public, vote.digest(domain)))


@lru_cache
def _compared(own: Answer, other: Answer) -> Comparison:
    return compare(own.tensors, other.tensors, TOLERANCE)


class _Double(Sitter):
    def __init__(self, asked: Asked, key: NodeKey, own: Answer, now_ms: int) -> None:
        self._asked, self._key, self._own, self._salt = asked, key, own, salt_of(key, asked.digest)
        self._until = asked.request.request.deadline_ms
        assert now_ms < self._until

    @override
    def commit(self) -> SignedCommit:
        asked, own = self._asked, self._own
        sealed = commitment(self._key.public, asked.digest, own.hash, own.sealed.root, self._salt)
        said = Commit(
            request=asked.digest, committee=asked.committee.root, epoch=asked.committee.epoch, commitment=sealed
        )
        return _hash_commit(said, self._key, asked.network.domain)

    @override
    def judge(self, receipt: SignedReceipt, answer: Answer, now_ms: int) -> tuple[Reveal, SignedVote] | None:
        asked, own = self._asked, self._own
        if now_ms >= self._until:
            return None
        compared, digest = _compared(own, answer), receipt.receipt.digest(asked.network.domain)
        opening = None
        if own.hash != receipt.receipt.outputs:
            opening = own.sealed.opened(place_of(digest, self._key.public, len(own.sealed)))
        reveal = Reveal(
            outputs=own.hash, root=own.sealed.root, salt=self._salt, distance=compared.distance, opening=opening
        )
        verdict = Verdict.ACCEPT if compared.agrees else Verdict.REJECT
        vote = Vote(receipt=digest, committee=asked.committee.root, epoch=asked.committee.epoch, verdict=verdict)
        return reveal, _hash_vote(vote, self._key, asked.network.domain)


REAL = Words(_Real, sign_commit, sign_vote)
DOUBLE = Words(_Double, _hash_commit, _hash_vote)
