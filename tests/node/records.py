"""Offers and presences for tests, signed by peers whose keys come from labels."""

from __future__ import annotations

from typing import Any

from tests.verify.scenes import NOW, bent, key_of
from wire.canonical import Amount, encode
from wire.cid import content_hash
from wire.eip712 import Domain
from wire.inference import Backend
from wire.offer import Offer, sign_offer
from wire.presence import Presence, sign_presence

DOMAIN = Domain(chain_id=31337, contract=b"\x11" * 20)
MINUTE = 60_000


def model(label: str) -> bytes:
    """A model's hash."""
    return content_hash(label.encode())


def offer(who: str = "provider", **changes: Any) -> Offer:
    """An offer that holds at NOW."""
    made = Offer(
        peer=key_of(who).public,
        addresses=("/ip4/127.0.0.1/tcp/4001",),
        model=model("digits"),
        tiers=("signed", "quorum"),
        price=Amount(10),
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
