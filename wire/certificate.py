"""The certificate: what turns a receipt into a proved answer. One format; the evidence depends on the tier."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .attestation import TeeEvidence
from .audit import SampledEvidence
from .bounds import MAX_PLACES, U63, Hash32
from .canonical import Record
from .circuit import ZkEvidence
from .tier import Tier

AggregateForm = Literal["halfagg", "musig2"]
Signers = Annotated[bytes, Meta(min_length=1, max_length=MAX_PLACES // 8)]


class QuorumEvidence(Record):
    """Who of a committee's places gave one verdict, and their signatures on it in one.

    In a certificate the verdict is ACCEPT. The same over REJECT votes is what a fraud record shows. `signers` is a
    bitmap of places (members by key, then the bench), bit i of byte i // 8 (least significant first). `aggregate` is
    32·n + 32 bytes for n signers (`halfagg`: Schnorr half-aggregation, which anyone can make of their signatures), or
    64 bytes (`musig2`: BIP327, for which all of them signed together once more).
    """

    committee: Hash32
    epoch: U63
    signers: Signers
    aggregate: Annotated[bytes, Meta(min_length=64, max_length=32 * MAX_PLACES + 32)]
    form: AggregateForm = "halfagg"


class Certificate(Record):
    """Evidence over one receipt's digest: a part for each rung of the tier that has one, and none for any other.

    Rung `signed` has none: the provider's signature on the receipt is the evidence.
    """

    tier: Tier
    receipt: Hash32
    quorum: QuorumEvidence | None = None
    sampled: SampledEvidence | None = None
    tee: TeeEvidence | None = None
    zk: ZkEvidence | None = None
