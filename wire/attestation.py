"""TEE attestation: what binds a provider's key to the software and the models inside a trusted environment.

Somebody asks with a nonce of their own (the challenge). The environment's hardware signs a quote over 64 bytes of our
choosing, and those are the hash of the provider's key, its runtime, its models and that challenge. One quote serves
until it is no longer fresh; each answer is then bound by the attested key's signature on its receipt.

    anyone → provider   AskAttestation      over the stream `attest`
    provider → anyone   Attestation
    anyone → anyone     AskCollateral       what Intel says of a kind of platform: signed by it, so anybody may tell
    anyone → anyone     CollateralReply
"""

from __future__ import annotations

from hashlib import sha512
from typing import Annotated, Literal

from msgspec import Meta

from .bounds import KIB, Address, Hash32, PublicKey, Signature64, Signature65, TimeMs
from .canonical import Record
from .cid import content_hash
from .eip712 import Domain, StructType
from .keys import NodeKey, schnorr_signed_by, signed_by
from .modelset import ModelPath

CHALLENGE = StructType(
    "Challenge", ("address", "asker"), ("address", "provider"), ("bytes32", "nonce"), ("uint64", "issued")
)
TeeKind = Literal["sgx", "tdx", "nitro", "snp", "dev"]
# Evidence, a full committee's ballots and the other rungs' parts share one Proof of 256 KiB: see docs/protocol.md.
MAX_QUOTE = 16 * KIB  # a TDX quote has 5, a Nitro document 4.5, a report of SEV-SNP 1.2
MAX_CHAIN = 4 * KIB  # of certificates, PEM
MAX_TCB_INFO = 20 * KIB
MAX_GPU = 8 * KIB  # a card's report has 4.1, its certificates 4.8
REPORT_DATA = 64  # bytes of a caller's own that every vendor's quote has room for

# A kind of platform of Intel's: what it attests, and its FMSPC. It names a file, so nothing else may stand in it.
Platform = Annotated[str, Meta(pattern=r"^(sgx|tdx)-[0-9a-f]{12}\Z")]
_Chain = Annotated[bytes, Meta(max_length=MAX_CHAIN)]
_Certificate = Annotated[bytes, Meta(max_length=2 * KIB)]


class Challenge(Record):
    """The wish for a fresh quote. Only who chose the nonce knows that no quote over it is older than `issued_ms`.

    A third party learns when it was asked, by whom.
    """

    asker: Address
    provider: Address
    nonce: Hash32
    issued_ms: TimeMs

    def digest(self, domain: Domain) -> bytes:
        """What the asker signs, and what the quote binds: so no quote serves on another network."""
        return CHALLENGE.digest(domain, self.asker, self.provider, self.nonce, self.issued_ms)


class SignedChallenge(Record):
    """A challenge with its asker's signature."""

    challenge: Challenge
    signature: Signature65

    def is_signed(self, domain: Domain) -> bool:
        """Whether the asker it names signed it, for this network."""
        return signed_by(self.challenge.asker, self.challenge.digest(domain), self.signature)


def sign_challenge(challenge: Challenge, key: NodeKey, domain: Domain) -> SignedChallenge:
    """The asker's signed challenge."""
    return SignedChallenge(challenge=challenge, signature=key.sign(challenge.digest(domain)))


class Bound(Record):
    """What a quote is about, besides the challenge."""

    key: PublicKey  # the provider's: it signs the receipts
    runtime: Hash32  # the measurement of what is installed and running, as the attested software took it
    models: Hash32  # `modelset.root_of` all that it executes

    def report_data(self, challenge: bytes) -> bytes:
        """The 64 bytes that the hardware signs, for the digest of a challenge."""
        return sha512(b"hallmark tee 1" + self.key + self.runtime + self.models + challenge).digest()


class IntelCollateral(Record, tag="intel", tag_field="type"):
    """What Intel signs about a kind of platform (PCS, v4): chains in PEM, CRLs in DER, JSON as it was signed."""

    pck_crl_issuer_chain: _Chain
    root_ca_crl: Annotated[bytes, Meta(max_length=2 * KIB)]
    pck_crl: Annotated[bytes, Meta(max_length=8 * KIB)]
    tcb_info_issuer_chain: _Chain
    tcb_info: Annotated[bytes, Meta(max_length=MAX_TCB_INFO)]
    tcb_info_signature: Signature64
    qe_identity_issuer_chain: _Chain
    qe_identity: Annotated[bytes, Meta(max_length=MAX_CHAIN)]
    qe_identity_signature: Signature64


class AmdCollateral(Record, tag="amd", tag_field="type"):
    """AMD's certificates under its root, in DER: of the generation of chips, and of this chip at its TCB."""

    ask: _Certificate
    vcek: _Certificate


Collateral = IntelCollateral | AmdCollateral


class GpuEvidence(Record):
    """A card's own attestation (NVIDIA, Hopper): the SPDM exchange it signed, and its certificates in PEM."""

    report: Annotated[bytes, Meta(min_length=1, max_length=MAX_GPU)]
    chain: Annotated[bytes, Meta(min_length=1, max_length=MAX_GPU)]


def gpu_nonce(report_data: bytes) -> bytes:
    """The nonce with which a card is asked, so that its report belongs to one quote."""
    return content_hash(b"hallmark gpu 1" + report_data)


class TeeEvidence(Record):
    """A vendor's quote over a provider's key, and all that is needed to check it offline."""

    kind: TeeKind
    challenge: SignedChallenge
    bound: Bound
    path: ModelPath  # of the receipt's model in `bound.models`
    quote: Annotated[bytes, Meta(min_length=1, max_length=MAX_QUOTE)]
    collateral: Collateral | None  # nil where the quote carries its own (Nitro), or has no vendor (dev)
    gpu: GpuEvidence | None = None


class DevQuote(Record):
    """What stands for a quote where there is no TEE: a key in a file says so. It proves nothing about hardware."""

    attester: PublicKey
    measurement: Hash32
    report_data: Annotated[bytes, Meta(min_length=REPORT_DATA, max_length=REPORT_DATA)]
    signature: Signature64

    def is_signed(self) -> bool:
        """Whether the attester it names signed it."""
        digest = _dev_digest(self.attester, self.measurement, self.report_data)
        return schnorr_signed_by(self.attester, digest, self.signature)


def sign_dev_quote(measurement: bytes, report_data: bytes, key: NodeKey) -> DevQuote:
    """A development attester's quote."""
    signature = key.sign_schnorr(_dev_digest(key.public, measurement, report_data))
    return DevQuote(attester=key.public, measurement=measurement, report_data=report_data, signature=signature)


def _dev_digest(attester: bytes, measurement: bytes, report_data: bytes) -> bytes:
    # With all 33 bytes of the key: the signature alone would hold for the key of the other parity as well.
    return content_hash(b"hallmark dev quote 2" + attester + measurement + report_data)


class AskAttestation(Record, tag="attestation", tag_field="type"):
    """Answered by `Attestation`, for this model: over the challenge, or without one over what was asked last."""

    model: Hash32
    challenge: SignedChallenge | None


class Attestation(Record):
    """The evidence, whole."""

    evidence: TeeEvidence


class AskCollateral(Record, tag="collateral", tag_field="type"):
    """Answered by `CollateralReply`: what the vendor says of this kind of platform."""

    platform: Platform


class CollateralReply(Record):
    """The newest that the peer has seen, if any."""

    collateral: IntelCollateral | None


AttestRequest = AskAttestation | AskCollateral
