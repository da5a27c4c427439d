"""The offer: a provider says what it runs, at what price, until when. Signed, sequenced, expiring; spread by gossip."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import CLOCK_SKEW_MS, MAX_OFFER_LIFE_MS, U32, U63, Hash32, Line, Name, PublicKey, TimeMs
from .canonical import Amount, Record, decode, encode
from .eip712 import Domain, StructType
from .errors import RecordError
from .inference import Backend
from .keys import NodeKey, address_of
from .payment import PaymentTerms
from .signed import Signed, check_signature, sign
from .tier import Tier

OFFER = StructType("Offer", ("address", "provider"), ("bytes32", "offer"))


class Terms(Record):
    """What one tier costs: per request, and per 1,000 tokens generated, in the token's smallest unit, and what its
    proof adds to an answer.

    `added_us` is the median time in microseconds and `added_bytes` the size, both as measured; 0 where not yet known.
    """

    tier: Tier
    price: Amount
    added_us: U63
    added_bytes: U63
    per_1k_tokens: Amount = Amount(0)

    def cost(self, tokens: int) -> Amount:
        """What an answer of so many generated tokens costs: a begun unit counts as a whole one."""
        return Amount(self.price - -self.per_1k_tokens * tokens // 1000)


class Offer(Record):
    """One provider's word on one model. A higher `sequence` replaces a lower one; none outlives `expires_ms`."""

    peer: PublicKey
    addresses: Annotated[tuple[Line, ...], Meta(max_length=16)]
    model: Hash32
    tiers: Annotated[tuple[Terms, ...], Meta(min_length=1, max_length=8)]
    backend: Backend  # what a probe executed, not what was configured
    profile: Name
    compute_us: U63  # median execution time measured on this machine
    queue_depth: U32
    sequence: U63
    issued_ms: TimeMs
    expires_ms: TimeMs
    payment: PaymentTerms | None = None  # where answers are paid on a chain

    def terms(self, tier: Tier) -> Terms | None:
        """What an answer of this tier costs here; None when there is none."""
        return next((terms for terms in self.tiers if terms.tier == tier), None)

    @property
    def price(self) -> Amount:
        """The cheapest tier's."""
        return min(terms.price for terms in self.tiers)


class SignedOffer(Signed):
    """An offer's canonical bytes with the provider's signature over their hash."""


def sign_offer(offer: Offer, key: NodeKey, domain: Domain) -> SignedOffer:
    """The provider's signed offer; ValueError when `key` is not the provider's."""
    if offer.peer != key.public:
        raise ValueError("the offer names another peer than the key that would sign it")
    return sign(SignedOffer, OFFER, encode(offer), key, domain)


def read_offer(signed: SignedOffer, domain: Domain) -> Offer:
    """The offer inside, its bounds and its signature checked. Time is a separate question: see `offer_is_current`."""
    offer = decode(signed.body, Offer)
    check_signature(signed, OFFER, address_of(offer.peer), domain)
    if len({terms.tier for terms in offer.tiers}) != len(offer.tiers):
        raise RecordError("Offer: it names a tier twice")
    if not 0 < offer.expires_ms - offer.issued_ms <= MAX_OFFER_LIFE_MS:
        raise RecordError(f"Offer: lives longer than {MAX_OFFER_LIFE_MS} ms, or ends before it begins")
    return offer


def offer_is_current(offer: Offer, now_ms: int) -> bool:
    """Whether the offer holds at `now_ms`; one from the future (beyond clock skew) does not."""
    return offer.issued_ms - CLOCK_SKEW_MS <= now_ms < offer.expires_ms
