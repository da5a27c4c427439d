"""Whom to measure: the peers that offer a model, on the terms that the user allows."""

from __future__ import annotations

from typing import Any

import trio

from wire.keys import peer_id_of
from wire.manifest import SignedManifest
from wire.offer import Offer

from ..bounds import OFFER_SECONDS
from ..chain.amounts import show_amount, typed_amount
from ..clock import now_ms
from ..control import Emit
from ..errors import CommandError, Exit
from ..finding import find_offers, refresh_offers
from ..peer import Peer
from . import bounds


async def choose(peer: Peer, signed: SignedManifest, params: dict[str, Any], emit: Emit) -> list[Offer]:
    """The offers of the peers that the user named, or all, or the best one. CommandError names whom it misses.

    Unlike for a question, a peer that was caught lying is not left out: its wrong answers are what one may want to see.
    """
    wanted: list[str] = params["peers"]
    deadline = trio.current_time() + OFFER_SECONDS
    try:
        await find_offers(peer, signed.model, emit, bounds.OFFER_SECONDS if params["suite"] else OFFER_SECONDS)
    except CommandError as error:
        if error.exit_code is not Exit.NOT_FOUND:
            raise
        pull = f"On the peer to be measured: hallmark model pull {signed.cid}, and hallmark serve --role provider"
        raise CommandError(Exit.NOT_FOUND, error.message, pull) from error
    if wanted or params["all"]:
        await refresh_offers(peer, signed.model)
    while True:
        known = {peer_id_of(offer.peer): offer for offer in peer.board.offers(now_ms(), signed.model)}
        missing = [name for name in wanted if name not in known]
        if not missing or trio.current_time() > deadline:
            break
        await peer.board_changed.wait(0.5)
        await refresh_offers(peer, signed.model)
    if missing:
        offering = "\n".join(f"  {name}" for name in known)
        raise CommandError(
            Exit.NOT_FOUND,
            f"{missing[0]} does not offer this model",
            f"These do:\n{offering}" if known else f"It must pull it: hallmark model pull {signed.cid}",
        )
    of_tier = peer.board.offers(now_ms(), signed.model, tier=params["tier"])
    on_terms = {peer_id_of(offer.peer): offer for offer in of_tier if _is_on_terms(offer, params)}
    if beyond := [name for name in wanted if name not in on_terms]:
        raise _beyond(known[beyond[0]], params)
    if not on_terms:
        raise _beyond(next(iter(known.values())), params)
    if wanted:
        return [on_terms[name] for name in wanted]
    return list(on_terms.values())[: bounds.MAX_PEERS if params["all"] else 1]


def _is_on_terms(offer: Offer, params: dict[str, Any]) -> bool:
    terms = offer.terms(params["tier"])
    return terms is not None and terms.price <= params["max_price"]


def _beyond(offer: Offer, params: dict[str, Any]) -> CommandError:
    name, tier = peer_id_of(offer.peer), params["tier"]
    if (terms := offer.terms(tier)) is None:
        tiers = ", ".join(terms.tier for terms in offer.tiers)
        return CommandError(Exit.NOT_FOUND, f"{name} does not answer at tier {tier}", f"It answers at: {tiers}.")
    return CommandError(
        Exit.NOT_FOUND,
        f"{name} asks {show_amount(terms.price)} a request, you allow {show_amount(params['max_price'])}",
        f"Allow it: --max-price {typed_amount(terms.price)}",
    )
