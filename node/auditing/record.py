"""A provider's record, as this peer heard it, and how it is weighed when somebody is chosen."""

from __future__ import annotations

from typing import Any

from storage import Store
from storage.audits import AuditRecord
from wire.keys import address_of
from wire.offer import Offer

from ..bounds import DISPUTED_MS


def describe(record: AuditRecord) -> dict[str, Any]:
    """The record as plain values."""
    return {
        "checked": record.checked,
        "agreed": record.agreed,
        "disputed": record.disputed,
        "verifiers": record.verifiers,
        "since_ms": record.since_ms,
    }


def of_offer(store: Store, offer: Offer) -> dict[str, Any]:
    """The record of an offer's provider with its model."""
    return describe(store.audits.record(address_of(offer.peer), offer.model))


def is_disputed(store: Store, offer: Offer, now_ms: int) -> bool:
    """Whether a verifier disputed an answer of this provider with this model lately.

    One dispute is enough, and it fades: a verifier that lies can put a provider last for a while, and no longer.
    """
    return store.audits.record(address_of(offer.peer), offer.model).disputed_ms > now_ms - DISPUTED_MS
