"""Who is asked first: as the noticeboard orders them, but for those whose answers a verifier disputed lately."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from node import asking
from node.asking import _choose
from node.attempt import Question
from node.peer import Peer
from storage import Store
from storage.audits import Checked
from tests.node.records import offer
from tests.verify.scenes import NOW, key_of
from wire.keys import address_of
from wire.offer import Offer

OFFERS = [offer(who) for who in ("cheap", "middling", "dear")]
EVENTS = list[dict[str, Any]]


@dataclass
class Shelf:
    """As much of a peer as choosing needs: its store."""

    store: Store

    @property
    def local(self) -> Shelf:
        return self


@dataclass
class Asked:
    """As much of a question: whom its asker prefers."""

    prefer: bytes | None = None
    events: EVENTS = field(default_factory=list)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "now_ms", lambda: NOW + 1000)


def dispute(store: Store, made: Offer, number: int = 0, *, agreed: bool = False) -> None:
    receipt = number.to_bytes(32, "big")
    store.audits.put([Checked(address_of(made.peer), made.model, receipt, key_of("v").public, agreed, NOW)])


def chosen(store: Store, asked: Asked, offers: list[Offer] = OFFERS) -> bytes:
    return _choose(cast(Peer, Shelf(store)), cast(Question, asked), offers, asked.events.append).peer


def test_without_a_dispute_the_order_stays(store: Store) -> None:
    dispute(store, OFFERS[0], agreed=True)
    assert chosen(store, Asked()) == OFFERS[0].peer


def test_the_disputed_come_after_the_others(store: Store) -> None:
    dispute(store, OFFERS[0])
    asked = Asked()
    assert chosen(store, asked) == OFFERS[1].peer
    dispute(store, OFFERS[1])
    assert chosen(store, asked) == OFFERS[2].peer
    assert asked.events == []


def test_where_all_are_disputed_one_is_asked_and_it_is_said(store: Store) -> None:
    for made in OFFERS:
        dispute(store, made)
    dispute(store, OFFERS[0], 1, agreed=True)
    asked = Asked()
    assert chosen(store, asked) == OFFERS[0].peer
    (event,) = asked.events
    assert event["event"] == "disputed"
    assert "2 checked, 1 agreed, 1 disputed, by 1 verifier" in event["text"]


def test_whom_the_asker_prefers_is_asked_whatever_is_said_of_it(store: Store) -> None:
    dispute(store, OFFERS[0])
    assert chosen(store, Asked(prefer=OFFERS[0].peer)) == OFFERS[0].peer


def test_a_dispute_over_another_model_is_none_here(store: Store) -> None:
    dispute(store, offer("cheap", model=b"\7" * 32))
    assert chosen(store, Asked()) == OFFERS[0].peer
