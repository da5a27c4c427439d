"""A whole small world for tests: a network of verifiers, a provider, a payer, a model, and every record they sign.

`Scene` holds what is fixed; its methods make the records one by one, each field open to be bent by an attacker.
All keys are derived from labels, so a scene is the same on every run, but for the randomness in BIP340 signatures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, TypeVar

import msgspec
import numpy as np

from verify.committee import Committee, committee_for
from verify.distance import IDENTICAL
from verify.events import AnswerReady
from verify.openings import Outputs, place_of
from verify.tiers import quorum
from verify.tiers.claim import Claim, file_of
from wire.arrays import from_array
from wire.audit import UNSEEDED, SampledEvidence, seed_of
from wire.canonical import Amount
from wire.certificate import Certificate
from wire.cid import content_hash
from wire.eip712 import keccak256
from wire.inference import (
    Backend,
    Receipt,
    Request,
    Runtime,
    SignedReceipt,
    SignedRequest,
    Usage,
    sign_receipt,
    sign_request,
)
from wire.keys import NodeKey
from wire.manifest import File, Manifest, SignedManifest, sign_manifest
from wire.network import Network, Profile, Verifier
from wire.receiptfile import ReceiptFile
from wire.tensors import Tensor, TensorSet, TensorSpec, tensor_set
from wire.tier import Tier, rungs_of
from wire.vote import (
    NOTHING,
    Ballot,
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

NOW = 1_800_000_000_000
SALT = b"salt" * 8
SECRET = b"ask!" * 8  # the payer's, where a tier is sampled


@cache
def key_of(label: str) -> NodeKey:
    """The key of whoever bears this label."""
    return NodeKey(keccak256(label.encode()))


def floats(name: str, *values: float) -> Tensor:
    """An FP32 tensor of shape [1, n]."""
    return from_array(name, np.array([values], dtype=np.float32))


R = TypeVar("R", bound=msgspec.Struct)


def bent(record: R, **changes: Any) -> R:
    """The record with some fields replaced; its signatures stay as they were."""
    return msgspec.structs.replace(record, **changes)


@dataclass(frozen=True)
class Scene:
    """`verifiers` are registered with `weights` (all 1 when empty); outputs are the provider's, to be judged."""

    verifiers: int = 4
    size: int = 16
    weights: tuple[int, ...] = ()
    tier: Tier = "quorum"
    outputs: tuple[Tensor, ...] = field(default_factory=lambda: (floats("scores", 0.5, -2.0, 1.25),))

    @cached_property
    def network(self) -> Network:
        weights = self.weights or (1,) * self.verifiers
        keys = [key_of(f"verifier {i}") for i in range(self.verifiers)]
        return Network(
            name="scene",
            chain_id=31337,
            contract=b"\x11" * 20,
            epoch=7,
            beacon=b"\x22" * 32,
            committee_size=self.size,
            quorum_numerator=2,
            quorum_denominator=3,
            verifiers=tuple(Verifier(key=k.public, weight=w) for k, w in zip(keys, weights, strict=True)),
            profiles=(Profile(name="fp32", tolerance=1e-5),),
        )

    @property
    def provider(self) -> NodeKey:
        return key_of("provider")

    @property
    def payer(self) -> NodeKey:
        return key_of("payer")

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        return (floats("image", 1.0, 2.0, 3.0, 4.0),)

    @cached_property
    def input_set(self) -> TensorSet:
        return tensor_set(self.inputs)

    @cached_property
    def manifest(self) -> Manifest:
        specs = tuple(
            TensorSpec(name=t.name, datatype=t.header.datatype, shape=("n", *t.header.shape[1:])) for t in self.outputs
        )
        return Manifest(
            name="digits",
            version="1.0.0",
            publisher=key_of("publisher").address,
            files=(File(path="model.onnx", blob=b"\x33" * 32, size=10, media_type="application/onnx"),),
            interface="tensors",
            inputs=(TensorSpec(name="image", datatype="FP32", shape=("n", 4)),),
            outputs=specs,
            task="classification",
            tags=(),
            licence="MIT",
            royalty_bps=100,
            opset=21,
            profile="fp32",
            description="",
            previous=None,
            created_ms=NOW - 1000,
        )

    @cached_property
    def signed_manifest(self) -> SignedManifest:
        return sign_manifest(self.manifest, key_of("publisher"), self.network.domain)

    @cached_property
    def request(self) -> SignedRequest:
        return self.ask()

    def ask(self, **changes: Any) -> SignedRequest:
        """The payer's signed request, with fields changed before it signs."""
        request = Request(
            nonce=b"\x44" * 32,
            model=self.signed_manifest.model,
            tier=self.tier,
            committee=0,
            seed=seed_of(SECRET) if "sampled" in rungs_of(self.tier) else UNSEEDED,
            inputs=self.input_set.hash(),
            payer=self.payer.address,
            provider=self.provider.address,
            max_price=Amount(1000),
            issued_ms=NOW,
            deadline_ms=NOW + 60_000,
        )
        return sign_request(bent(request, **changes), self.payer, self.network.domain)

    @cached_property
    def digest(self) -> bytes:
        """The request's."""
        return self.request.request.digest(self.network.domain)

    @cached_property
    def committee(self) -> Committee:
        return committee_for(self.network, self.request.request)

    @cached_property
    def keys(self) -> tuple[NodeKey, ...]:
        """The committee's, in the order of its places."""
        every = {key_of(f"verifier {i}").public: key_of(f"verifier {i}") for i in range(self.verifiers)}
        return tuple(every[m.key] for m in self.committee.places)

    @cached_property
    def receipt(self) -> SignedReceipt:
        return self.answer()

    def answer(self, **changes: Any) -> SignedReceipt:
        """The provider's signed receipt, with fields changed before it signs."""
        asked = self.request.request
        receipt = Receipt(
            chain_id=self.network.chain_id,
            request=self.digest,
            nonce=asked.nonce,
            payer=asked.payer,
            provider=asked.provider,
            model=asked.model,
            inputs=asked.inputs,
            outputs=tensor_set(self.outputs).hash(),
            runtime=Runtime(
                profile="fp32",
                backend=Backend(name="onnxruntime", version="1", device="cpu", compute_capability=""),
                together=1,
            ),
            tier=asked.tier,
            usage=Usage(units=1, tokens_in=0, tokens_out=0, compute_us=900),
            price=Amount(10),
            started_ms=NOW + 10,
            finished_ms=NOW + 20,
        )
        return sign_receipt(bent(receipt, **changes), self.provider, self.network.domain)

    @cached_property
    def receipt_digest(self) -> bytes:
        return self.receipt.receipt.digest(self.network.domain)

    @cached_property
    def answer_ready(self) -> AnswerReady:
        """The provider's answer, as the round hears of it."""
        return AnswerReady(self.receipt, Outputs(self.outputs))

    def commit(self, member: int, own: Sequence[Tensor] | None = None, **changes: Any) -> SignedCommit:
        """A member's signed commit to its own outputs (the provider's, by default)."""
        key, own = self.keys[member], self.outputs if own is None else own
        sealed = commitment(key.public, self.digest, tensor_set(own).hash(), Outputs(own).root, SALT)
        commit = Commit(
            request=self.digest, committee=self.committee.root, epoch=self.committee.epoch, commitment=sealed
        )
        return sign_commit(bent(commit, **changes), key, self.network.domain)

    def abstention(self, member: int) -> SignedCommit:
        return self.commit(member, commitment=NOTHING)

    def reveal(self, member: int = 0, own: Sequence[Tensor] | None = None, distance: int = IDENTICAL) -> Reveal:
        """What opens a member's commit; it opens a part of its own outputs where these are not the provider's."""
        sealed = Outputs(self.outputs if own is None else own)
        place = place_of(self.receipt_digest, self.keys[member].public, len(sealed))
        return Reveal(
            outputs=tensor_set(sealed.tensors).hash(),
            root=sealed.root,
            salt=SALT,
            distance=distance,
            opening=None if own is None else sealed.opened(place),
        )

    def vote(self, member: int, verdict: Verdict = Verdict.ACCEPT, **changes: Any) -> SignedVote:
        """A member's signed vote on the receipt."""
        vote = Vote(
            receipt=self.receipt_digest, committee=self.committee.root, epoch=self.committee.epoch, verdict=verdict
        )
        return sign_vote(bent(vote, **changes), self.keys[member], self.network.domain)

    def ballot(self, member: int, verdict: Verdict = Verdict.ACCEPT) -> Ballot:
        return Ballot(member=member, commit=self.commit(member), reveal=self.reveal(), vote=self.vote(member, verdict))

    def votes(self, members: Sequence[int]) -> Mapping[int, SignedVote]:
        return {i: self.vote(i) for i in members}

    def certificate(self, members: Sequence[int] | None = None) -> Certificate:
        """Of the tier; of a quorum, signed by the ones at these places (all members and reserves by default)."""
        certificate, rungs = Certificate(tier=self.tier, receipt=self.receipt_digest), rungs_of(self.tier)
        if "quorum" in rungs:
            members = range(len(self.keys)) if members is None else members
            evidence = quorum.certify(self.network, self.committee, self.receipt_digest, self.votes(members))
            certificate = bent(certificate, quorum=evidence)
        if "sampled" in rungs:
            certificate = bent(certificate, sampled=SampledEvidence(secret=SECRET, audits=()))
        return certificate

    def claim(self, certificate: Certificate | None = None, ballots: Sequence[Ballot] | None = None) -> Claim:
        """What is claimed of the answer, as a checker gets it."""
        return Claim(
            network=self.network,
            manifest=self.manifest,
            request=self.request,
            receipt=self.receipt,
            certificate=certificate or self.certificate(),
            ballots=self.ballots() if ballots is None else ballots,
            inputs=self.input_set,
            outputs=self.outputs,
        )

    def ballots(self) -> tuple[Ballot, ...]:
        """Everybody's, accepting; none where the tier has no committee."""
        return tuple(self.ballot(i) for i in range(len(self.keys))) if "quorum" in rungs_of(self.tier) else ()

    @cached_property
    def file(self) -> ReceiptFile:
        """The whole proof, valid."""
        return file_of(self.claim(), self.signed_manifest)


def some_hash(label: str) -> bytes:
    """32 bytes that are nobody's."""
    return content_hash(label.encode())
