"""Offers, presences, models and names for tests, signed by peers whose keys come from labels."""

from __future__ import annotations

from typing import Any

from tests.verify.scenes import NOW, bent, key_of
from wire.canonical import Amount, decode, encode
from wire.cid import content_hash
from wire.eip712 import Domain
from wire.inference import Backend
from wire.manifest import File, Manifest, SignedManifest, sign_manifest
from wire.name import Announcement, Named, NameRecord, SignedName, sign_name
from wire.offer import Offer, Terms, sign_offer
from wire.presence import Presence, sign_presence
from wire.tensors import TensorSpec
from wire.tier import Tier

DOMAIN = Domain(chain_id=31337, contract=b"\x11" * 20)
MINUTE = 60_000


def model(label: str) -> bytes:
    """A model's hash."""
    return content_hash(label.encode())


def terms(tier: Tier, price: int = 10) -> Terms:
    """What a tier costs, its proof not yet measured."""
    return Terms(tier=tier, price=Amount(price), added_us=0, added_bytes=0)


def offer(who: str = "provider", **changes: Any) -> Offer:
    """An offer that holds at NOW."""
    made = Offer(
        peer=key_of(who).public,
        addresses=("/ip4/127.0.0.1/tcp/4001",),
        model=model("digits"),
        tiers=(terms("signed"), terms("quorum")),
        backend=Backend(name="onnxruntime", version="1", device="cpu", compute_capability=""),
        profile="fp32",
        compute_us=1000,
        queue_depth=0,
        sequence=1,
        issued_ms=NOW,
        expires_ms=NOW + 3 * MINUTE,
    )
    return bent(made, **changes)


def presence(who: str = "provider", **changes: Any) -> Presence:
    """A presence that holds at NOW."""
    made = Presence(
        peer=key_of(who).public,
        addresses=("/ip4/127.0.0.1/tcp/4001",),
        roles=("hub",),
        release="hallmark/0",
        sequence=1,
        issued_ms=NOW,
        expires_ms=NOW + 5 * MINUTE,
    )
    return bent(made, **changes)


def signed_offer(who: str = "provider", *, domain: Domain = DOMAIN, **changes: Any) -> bytes:
    """The bytes that gossip would bring."""
    return encode(sign_offer(offer(who, **changes), key_of(who), domain))


def signed_presence(who: str = "provider", *, domain: Domain = DOMAIN, **changes: Any) -> bytes:
    """The bytes that gossip would bring."""
    return encode(sign_presence(presence(who, **changes), key_of(who), domain))


def signed_manifest(who: str = "publisher", *, domain: Domain = DOMAIN, **changes: Any) -> SignedManifest:
    """A model that nobody could execute."""
    made = Manifest(
        name="digits",
        version="1.0.0",
        publisher=key_of(who).address,
        files=(File(path="model.onnx", blob=bytes(32), size=1, media_type="application/onnx"),),
        interface="tensors",
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(4,)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(2,)),),
        task="",
        tags=(),
        licence="MIT",
        royalty_bps=0,
        opset=17,
        profile="fp32",
        description="",
        previous=None,
        created_ms=1,
    )
    return sign_manifest(bent(made, **changes), key_of(who), domain)


def named(*manifests: SignedManifest, withdrawn: str | None = None) -> tuple[Named, ...]:
    """Versions of a name; the first is withdrawn where a reason is given."""
    read = [(decode(signed.body, Manifest).version, signed.model) for signed in manifests]
    return tuple(Named(version=v, model=m, withdrawn=None if i else withdrawn) for i, (v, m) in enumerate(read))


def name_record(who: str = "publisher", **changes: Any) -> NameRecord:
    """A record that holds at NOW, and means `signed_manifest(who)`."""
    made = NameRecord(
        publisher=key_of(who).address,
        name="digits",
        versions=named(signed_manifest(who)),
        sequence=1,
        issued_ms=NOW,
        expires_ms=NOW + 60 * MINUTE,
    )
    return bent(made, **changes)


def signed_name(who: str = "publisher", *, domain: Domain = DOMAIN, **changes: Any) -> SignedName:
    """The record under its publisher's signature."""
    return sign_name(name_record(who, **changes), key_of(who), domain)


def announced(signed: SignedName, *manifests: SignedManifest) -> bytes:
    """The bytes that gossip would bring."""
    return encode(Announcement(name=signed, manifests=manifests))
