"""The certificate: what turns a receipt into a proved answer. One format; the evidence depends on the tier."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import MAX_COMMITTEE, U63, Hash32
from .canonical import Record
from .tier import Tier


class QuorumEvidence(Record):
    """Which members accepted, and one half-aggregated BIP340 signature of theirs.

    `signers` is a bitmap in the committee's canonical order, bit i of byte i // 8 (least significant first).
    `aggregate` is 32·n + 32 bytes for n signers (Schnorr half-aggregation).
    """

    committee: Hash32
    epoch: U63
    signers: Annotated[bytes, Meta(min_length=1, max_length=MAX_COMMITTEE // 8)]
    aggregate: Annotated[bytes, Meta(min_length=64, max_length=32 * MAX_COMMITTEE + 32)]


class Certificate(Record):
    """Evidence over one receipt's digest. Tier `signed` needs none: the provider's signature is the evidence."""

    tier: Tier
    receipt: Hash32
    quorum: QuorumEvidence | None
