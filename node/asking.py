"""Asking: one question to one provider after another, until an answer is proved. Nothing else is ever returned.

A provider whose answer does not hold is told to the user, remembered for a while, and not asked again meanwhile. One
that is overloaded, and said when to come back, or whose link was lost, is asked again when nobody else is left. Each
time it is a request of its own, with a new nonce: a provider answers none twice. Who answered this peer before is asked
before those who never did.
"""

from __future__ import annotations

from functools import partial

import trio

from wire.errors import RemoteError
from wire.generation import Tokens
from wire.keys import address_of, peer_id_of
from wire.offer import Offer
from wire.tier import rungs_of

from .acquainted import Acquainted, recall
from .attempt import Answered, Question, attempt, ceiling_of
from .auditing.record import is_disputed, of_offer
from .auditing.words import in_words
from .bounds import OFFER_SECONDS
from .chain.amounts import show_amount, typed_amount
from .clock import now_ms
from .control import Emit
from .errors import CommandError, Exit
from .finding import find_offers, refresh_offers
from .peer import Peer
from .tiers.rung import NotProved, NotWanted
from .tried import Tried
from .zk.expecting import told


async def ask(peer: Peer, question: Question, emit: Emit) -> Answered:
    """The first answer that is proved. CommandError: NOT_PROVED when an answer came and none held, REMOTE when none
    came, NOT_FOUND when nobody offers the model at this tier and price."""
    model, tried = question.manifest.model, Tried()
    deadline = trio.current_time() + question.seconds
    await find_offers(peer, model, emit, min(OFFER_SECONDS, question.seconds))
    known = await _acquainted(peer)
    explore, refreshed = known.begins(), False
    while not tried.exhausted and trio.current_time() < deadline:
        offers = _acceptable(peer, question, tried.asked, known, explore=explore and not tried.asked)
        if not offers and not refreshed:
            refreshed = True  # those we know are used up, or too dear; there may be others
            await refresh_offers(peer, model)
            continue
        if not offers:
            if not await _wait_for_one(peer, model, tried, deadline, emit):
                break
            continue
        # Whoever is asked gets half of what is left, as long as somebody else could be asked after it.
        now = trio.current_time()
        until = deadline if len(offers) == 1 else now + (deadline - now) / 2
        offer = _choose(peer, question, offers, emit)
        if answer := await _try(peer, question, offer, until, tried, emit):
            known.answered(address_of(offer.peer))
            return answer
        known.failed(address_of(offer.peer), now_ms())
    if not tried.failures:
        raise _nobody(peer, question)
    listed = "\n".join(f"  {name}: {why}" for name, why in tried.failures.items())
    if tried.refused:
        raise CommandError(
            Exit.NOT_PROVED, f"no answer could be proved:\n{listed}", "Do not use any of them. Ask again later."
        )
    if tried.unwanted:
        rules = "What you accept: hallmark policy show. Other rules for one question: --policy FILE"
        raise CommandError(Exit.NOT_PROVED, f"no answer is good enough for your policy:\n{listed}", rules)
    raise CommandError(
        Exit.REMOTE, f"no provider answered:\n{listed}", "Try again, or allow more time: --timeout SECONDS"
    )


async def _acquainted(peer: Peer) -> Acquainted:
    if peer.acquainted is None:
        recalled = await trio.to_thread.run_sync(recall, peer.local)
        peer.acquainted = peer.acquainted or recalled  # another question may have begun meanwhile
    return peer.acquainted


async def _try(peer: Peer, question: Question, offer: Offer, until: float, tried: Tried, emit: Emit) -> Answered | None:
    name, again = peer_id_of(offer.peer), offer.peer in tried.unsure
    tried.ask(offer.peer)

    has_text = any(spec.name == "text" for spec in question.specs.outputs)

    def hear(tokens: Tokens) -> None:
        text = tokens.text if has_text else None
        emit({"event": "tokens", "peer": name, "ids": list(tokens.ids), "text": text})

    work = partial(attempt, peer, question, offer, until, hear, again=again)
    try:
        if "zk" in rungs_of(question.tier) and (terms := offer.terms(question.tier)):
            return await told(work, name, terms, emit)
        return await work()
    except NotWanted as error:
        tried.unwanted = True
        event, text = "rejected", f"not good enough: {name}: {error}"
        tried.failures[name] = str(error)
    except NotProved as error:
        tried.refused = True
        if error.dishonest:
            peer.distrust.note(offer.peer, str(error), now_ms())
        event, text = "rejected", f"REJECTED: the answer of {name}: {error}"
        tried.failures[name] = str(error)
    except RemoteError as error:
        tried.failed(offer.peer, error, trio.current_time())
        event, text = "failed", f"failed: {name}: {error}"
    emit({"event": event, "peer": name, "text": text})
    return None


async def _wait_for_one(peer: Peer, model: bytes, tried: Tried, deadline: float, emit: Emit) -> bool:
    """Wait for the first provider that may be asked again; whether there is one before the deadline."""
    again = tried.again()
    if again is None or again.at >= deadline:
        return False
    name = peer_id_of(again.provider)
    emit({"event": "waiting", "peer": name, "text": f"waiting for {name}, which {again.why}: it is asked again"})
    await trio.sleep_until(again.at)
    if again.lost:
        with trio.move_on_at(deadline):
            await refresh_offers(peer, model)  # it may be elsewhere by now
    return True


def _acceptable(peer: Peer, question: Question, tried: set[bytes], known: Acquainted, *, explore: bool) -> list[Offer]:
    """The offers that may be asked, the preferred provider's first, then of those who answered before, then those whose
    channel pays for the answer already, then as the noticeboard orders them. `explore`: a newcomer's comes first."""
    now = now_ms()
    without = tried | set(peer.distrust.current(now))
    offers = [
        offer
        for offer in peer.board.offers(now, question.manifest.model, tier=question.tier, without=without)
        if (terms := offer.terms(question.tier)) and ceiling_of(question, terms) <= _allowed(peer, question, offer)
    ]
    offers.sort(key=lambda o: not _is_open(peer, question, o))
    offers = known.order(offers, lambda o: _cost(question, o), now, explore=explore)
    return sorted(offers, key=lambda o: o.peer != question.prefer)


def _cost(question: Question, offer: Offer) -> int:
    terms = offer.terms(question.tier)
    assert terms is not None  # it would not be acceptable
    return ceiling_of(question, terms)


def _allowed(peer: Peer, question: Question, offer: Offer) -> int:
    """The most that an answer by this offer may cost: as this question says, and within the payer's own limits."""
    room = peer.spending.room(offer) if peer.spending else None
    return question.max_price if room is None else min(question.max_price, room)


def _is_open(peer: Peer, question: Question, offer: Offer) -> bool:
    payer, terms = peer.spending.find(offer) if peer.spending else None, offer.terms(question.tier)
    return payer is not None and terms is not None and payer.left >= ceiling_of(question, terms)


def _choose(peer: Peer, question: Question, offers: list[Offer], emit: Emit) -> Offer:
    """The first whose answers no verifier disputed lately; only where all were disputed, one of them."""
    if offers[0].peer == question.prefer:
        return offers[0]
    store, now = peer.local.store, now_ms()
    for offer in offers:
        if not is_disputed(store, offer, now):
            return offer
    name, record = peer_id_of(offers[0].peer), in_words(of_offer(store, offers[0]))
    emit({"event": "disputed", "peer": name, "text": f"{name} is asked though verifiers disputed it: {record}"})
    return offers[0]


def _nobody(peer: Peer, question: Question) -> CommandError:
    now = now_ms()
    offers = peer.board.offers(now, question.manifest.model)
    distrusted = [o for o in offers if o.peer in peer.distrust.current(now)]
    if offers and len(distrusted) == len(offers):
        return CommandError(
            Exit.NOT_PROVED,
            "every provider of this model gave an answer that did not hold",
            "Wait for another provider.",
        )
    costs = {o: int(ceiling_of(question, terms)) for o in offers if (terms := o.terms(question.tier))}
    cheapest = min(costs.values(), default=None)
    if cheapest is not None and cheapest > question.max_price:
        return CommandError(
            Exit.NOT_FOUND,
            f"the cheapest offer asks {show_amount(cheapest)}, you allow {show_amount(question.max_price)}",
            f"Allow it: --max-price {typed_amount(cheapest)}",
        )
    if costs and all(cost > _allowed(peer, question, o) for o, cost in costs.items()):
        return CommandError(
            Exit.PAYMENT,
            f"the cheapest offer asks {show_amount(cheapest or 0)}, and your limits leave less than any asks for",
            "They are max_per_request, max_per_day and max_per_provider: hallmark config show",
        )
    return CommandError(
        Exit.NOT_FOUND, f"nobody offers this model at tier {question.tier}", "Try --tier signed, or wait for one."
    )
