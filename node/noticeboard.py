"""What this peer knows of others: offers and presences, as gossip and catalogues told them. A machine without I/O.

Admission, rule by rule (docs/protocol.md has the table). REJECT costs the sender, so it is only for what no honest
peer would pass on; what is merely late or known already is IGNOREd.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from wire.canonical import decode
from wire.eip712 import Domain
from wire.errors import RecordError
from wire.offer import Offer, SignedOffer, offer_is_current, read_offer
from wire.presence import Presence, SignedPresence, read_presence
from wire.tier import Tier

from .bounds import MAX_OFFERS_PER_PROVIDER, MAX_PRESENCES


class Ruling(Enum):
    """What to do with a gossiped record: keep and forward, drop silently, drop and hold it against the sender."""

    ACCEPT = "accept"
    IGNORE = "ignore"
    REJECT = "reject"


@dataclass(frozen=True)
class Notice:
    """A ruling and the rule behind it."""

    ruling: Ruling
    rule: str


ACCEPTED = Notice(Ruling.ACCEPT, "new and valid")


class Noticeboard:
    """The current offers and presences of one network, bounded in number, each under the newest word of its author."""

    def __init__(self, domain: Domain, verifiers: Collection[bytes] = ()) -> None:
        """`verifiers` are the keys that the network file lists: there is always room for their presences, so that a
        crowd of invented peers cannot hide where a committee sits."""
        self._domain = domain
        self._verifiers = frozenset(verifiers)
        self._offers: dict[tuple[bytes, bytes], tuple[Offer, SignedOffer]] = {}  # by provider's key and model
        self._presences: dict[bytes, tuple[Presence, SignedPresence]] = {}

    def keep_room(self, verifiers: Collection[bytes]) -> None:
        """From now on these are the verifiers for whose presences there is always room."""
        self._verifiers = frozenset(verifiers)

    def take_offer(self, data: bytes, now_ms: int) -> Notice:
        """Judge, and keep when valid, an encoded `SignedOffer`."""
        try:
            signed = decode(data, SignedOffer)
            offer = read_offer(signed, self._domain)
        except RecordError as error:
            return Notice(Ruling.REJECT, f"malformed or badly signed: {error}")
        if not offer_is_current(offer, now_ms):
            return Notice(Ruling.IGNORE, "expired, or from the future")
        key = (offer.peer, offer.model)
        known = self._offers.get(key)
        if known and known[0].sequence >= offer.sequence:
            return Notice(Ruling.IGNORE, "not newer than what is known (a duplicate or a replay)")
        if not known and self._offers_of(offer.peer, now_ms) >= MAX_OFFERS_PER_PROVIDER:
            return Notice(Ruling.IGNORE, f"the provider has {MAX_OFFERS_PER_PROVIDER} offers already")
        if not known and len(self._offers) >= MAX_PRESENCES:
            self._expire(now_ms)
            if len(self._offers) >= MAX_PRESENCES:
                return Notice(Ruling.IGNORE, "the noticeboard is full")
        self._offers[key] = (offer, signed)
        return ACCEPTED

    def take_presence(self, data: bytes, now_ms: int) -> Notice:
        """Judge, and keep when valid, an encoded `SignedPresence`."""
        try:
            signed = decode(data, SignedPresence)
            presence = read_presence(signed, self._domain)
        except RecordError as error:
            return Notice(Ruling.REJECT, f"malformed or badly signed: {error}")
        if not presence.is_current(now_ms):
            return Notice(Ruling.IGNORE, "expired, or from the future")
        known = self._presences.get(presence.peer)
        if known and known[0].sequence >= presence.sequence:
            return Notice(Ruling.IGNORE, "not newer than what is known (a duplicate or a replay)")
        if not known and len(self._presences) >= MAX_PRESENCES and presence.peer not in self._verifiers:
            self._expire(now_ms)
            if len(self._presences) >= MAX_PRESENCES:
                return Notice(Ruling.IGNORE, "the noticeboard is full")
        self._presences[presence.peer] = (presence, signed)
        return ACCEPTED

    def offers(
        self, now_ms: int, model: bytes | None = None, *, tier: Tier | None = None, without: Collection[bytes] = ()
    ) -> list[Offer]:
        """The current offers (of one model, of one tier), cheapest first, then the one that should answer soonest.

        `without` names providers' keys to leave out.
        """

        def rank(offer: Offer) -> tuple[int, int, bytes]:
            terms = offer.terms(tier) if tier else None
            return terms.price if terms else offer.price, offer.compute_us * (offer.queue_depth + 1), offer.peer

        found = [
            offer
            for offer, _ in self._offers.values()
            if (model is None or offer.model == model)
            and (tier is None or offer.terms(tier))
            and offer.peer not in without
            and offer_is_current(offer, now_ms)
        ]
        return sorted(found, key=rank)

    def presences(self, now_ms: int) -> list[Presence]:
        """The current presences, newest first."""
        found = [presence for presence, _ in self._presences.values() if presence.is_current(now_ms)]
        return sorted(found, key=lambda p: -p.issued_ms)

    def presence(self, public: bytes, now_ms: int) -> Presence | None:
        """The current presence of one peer."""
        known = self._presences.get(public)
        return known[0] if known and known[0].is_current(now_ms) else None

    def signed_offers(self, now_ms: int, model: bytes | None, most: int) -> tuple[SignedOffer, ...]:
        """Up to `most` current offers as their providers signed them, newest first."""
        found = [
            (offer.issued_ms, signed)
            for offer, signed in self._offers.values()
            if (model is None or offer.model == model) and offer_is_current(offer, now_ms)
        ]
        return tuple(signed for _, signed in sorted(found, key=lambda f: -f[0])[:most])

    def signed_presences(self, now_ms: int, most: int) -> tuple[SignedPresence, ...]:
        """Up to `most` current presences as their peers signed them, newest first."""
        found = [(p.issued_ms, s) for p, s in self._presences.values() if p.is_current(now_ms)]
        return tuple(signed for _, signed in sorted(found, key=lambda f: -f[0])[:most])

    def _offers_of(self, provider: bytes, now_ms: int) -> int:
        return sum(o.peer == provider and offer_is_current(o, now_ms) for o, _ in self._offers.values())

    def _expire(self, now_ms: int) -> None:
        self._offers = {k: v for k, v in self._offers.items() if offer_is_current(v[0], now_ms)}
        self._presences = {k: v for k, v in self._presences.items() if v[0].is_current(now_ms)}
