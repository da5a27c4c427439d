"""`quote`: what an answer costs now, by tier and provider, for how long, and what is left to pay it. Spends nothing."""

from __future__ import annotations

from typing import Any

from wire.keys import address_of, peer_id_of
from wire.manifest import Manifest
from wire.offer import Offer, Terms

from ..bounds import OFFER_SECONDS
from ..clock import now_ms
from ..control import Emit
from ..finding import find_model, find_offers, refresh_offers
from ..peer import Peer


async def quote(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """The prices of a model's offers in one `tier`, or in all ("" ); of a generator for `tokens` of them.

    Amounts in the token's smallest unit, times in milliseconds. `most` is what `--max-price` has to allow.
    """
    signed, manifest = await find_model(peer, params["model"], emit)
    await find_offers(peer, signed.model, emit, OFFER_SECONDS)
    await refresh_offers(peer, signed.model)
    now = now_ms()
    rows = [
        _row(peer, manifest, offer, terms, params["tokens"], now)
        for offer in peer.board.offers(now, signed.model)
        for terms in offer.tiers
        if params["tier"] in ("", terms.tier)
    ]
    return {
        "model": signed.cid,
        "interface": manifest.interface,
        "tokens": params["tokens"] if manifest.interface == "generate" else 0,
        "paid": peer.spending is not None,
        "quotes": sorted(rows, key=lambda row: (row["tier"], row["most"], row["provider"])),
    }


def _row(peer: Peer, manifest: Manifest, offer: Offer, terms: Terms, tokens: int, now: int) -> dict[str, Any]:
    most = terms.cost(tokens if manifest.interface == "generate" else 0)
    row = {
        "provider": peer_id_of(offer.peer),
        "tier": terms.tier,
        "price": int(terms.price),
        "per_1k_tokens": int(terms.per_1k_tokens),
        "most": int(most),
        "holds_ms": max(0, offer.expires_ms - now),
        "queue": offer.queue_depth,
        "proof_ms": round(terms.added_us / 1000, 1),
    }
    spending = peer.spending
    if spending is None:
        return row
    payer, room = spending.find(offer), spending.budget.room(address_of(offer.peer), now)
    return row | {
        "step": int(offer.payment.step) if offer.payment else None,
        "channel": payer.id.hex() if payer else None,
        "left": payer.left if payer else 0,
        "limits_leave": room,
    }
