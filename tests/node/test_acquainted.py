"""Whom a peer asks first: those who answered it before, and now and then a newcomer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from node import asking
from node.acquainted import Acquainted, recall
from node.asking import ask
from node.attempt import Question
from node.bounds import EXPLORE_EVERY, FAILURES_BORNE, GAVE_NOTHING_MS, MAX_ANSWERED, MAX_ATTEMPTS, MAX_DISTRUSTED
from node.distrust import Distrust
from node.errors import CommandError
from node.local import Local
from node.noticeboard import Noticeboard
from node.peer import Peer
from storage import Store
from tests.node.records import DOMAIN, offer, signed_offer, terms
from tests.storage.made import ALICE, BOB, receipt_file
from tests.verify.scenes import NOW, bent, key_of
from wire.canonical import Amount
from wire.errors import ErrorCode, RemoteError
from wire.keys import address_of
from wire.offer import Offer

NAMES = [f"provider {n}" for n in range(6)]
OFFERS = [offer(name) for name in NAMES]
ADDRESSES = [address_of(made.peer) for made in OFFERS]


def order(known: Acquainted, *, explore: bool = False, now: int = NOW, prices: tuple[int, ...] = (1,) * 6) -> list[int]:
    costs = dict(zip([made.peer for made in OFFERS], prices, strict=True))
    return [OFFERS.index(made) for made in known.order(OFFERS, lambda o: costs[o.peer], now, explore=explore)]


def test_who_answered_comes_first_and_who_gave_nothing_last() -> None:
    known = Acquainted([ADDRESSES[4]])
    known.answered(ADDRESSES[2])
    known.failed(ADDRESSES[0], NOW)
    assert order(known) == [2, 4, 1, 3, 5, 0]
    assert order(known, now=NOW + GAVE_NOTHING_MS) == [2, 4, 0, 1, 3, 5]


def test_who_answered_before_is_borne_with_and_then_is_a_newcomer_again() -> None:
    known = Acquainted([ADDRESSES[5]])
    for _ in range(FAILURES_BORNE - 1):
        known.failed(ADDRESSES[5], NOW)
    assert order(known)[0] == 5
    known.failed(ADDRESSES[5], NOW)
    assert order(known) == list(range(6))
    known.answered(ADDRESSES[5])
    assert order(known)[0] == 5


def test_a_newcomer_begins_a_question_where_it_is_no_dearer() -> None:
    known = Acquainted([ADDRESSES[5]])
    known.failed(ADDRESSES[0], NOW)
    assert order(known, explore=True)[:2] in ([1, 5], [2, 5], [3, 5], [4, 5])
    assert order(known, explore=True, prices=(0, 9, 9, 1, 9, 1))[:2] == [3, 5]
    assert order(known, explore=True, prices=(0, 9, 9, 9, 9, 1))[0] == 5
    assert order(Acquainted(), explore=True) == list(range(6))  # where all are new there is nothing to find out


def test_every_newcomer_has_its_turn() -> None:
    known, first = Acquainted([ADDRESSES[0]]), set[int]()
    turns = sum(known.begins() and first.add(order(known, explore=True)[0]) is None for _ in range(5 * EXPLORE_EVERY))
    assert turns == 5
    assert first == {1, 2, 3, 4, 5}


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, GAVE_NOTHING_MS))), st.booleans())
def test_whatever_happened_nobody_is_left_out_and_newcomers_displace_one_place(
    events: list[tuple[int, bool, int]], explore: bool
) -> None:
    known, now, ever = Acquainted(), NOW, set[int]()
    for which, answered, later in events:
        now += later
        if answered:
            known.answered(ADDRESSES[which])
            ever.add(which)
        else:
            known.failed(ADDRESSES[which], now)
    plain, found = order(known, now=now), order(known, now=now, explore=explore)
    assert sorted(found) == sorted(plain) == list(range(6))
    assert found == plain or found[1:] == [one for one in plain if one != found[0]]
    if not any(not answered for _, answered, _ in events):
        assert set(plain[: len(ever)]) == ever
    if found != plain:
        assert found[0] not in ever or plain[0] in ever


def test_what_is_remembered_is_bounded_and_strangers_do_not_push_out_who_answered() -> None:
    known = Acquainted([ADDRESSES[0]])
    for number in range(MAX_DISTRUSTED + 10):
        known.failed(number.to_bytes(20, "big"), NOW)
    assert len(known._failed) == MAX_DISTRUSTED
    assert order(known)[0] == 0
    for number in range(MAX_ANSWERED + 10):
        known.answered(number.to_bytes(20, "big"))
    assert len(known._answered) == MAX_ANSWERED


class Town:
    """A question's surroundings: a board full of attackers, one honest provider, and what was asked of whom."""

    HONEST = offer("honest")

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, known: Acquainted | None = None) -> None:
        self.asked: list[bytes] = []
        board = Noticeboard(DOMAIN)
        board.take_offer(signed_offer("honest", tiers=(terms("signed", 5),)), NOW + 1)
        for number in range(40):
            board.take_offer(signed_offer(f"attacker {number}", tiers=(terms("signed", 0),)), NOW + 1)
        local = SimpleNamespace(store=store, key=key_of("payer"))
        peer = SimpleNamespace(
            local=local, board=board, distrust=Distrust(), spending=None, acquainted=known, network=None
        )
        self.peer = cast(Peer, peer)

        async def attempt(_: Any, __: Any, made: Offer, *___: Any, **____: Any) -> Any:
            await trio.lowlevel.checkpoint()
            self.asked.append(made.peer)
            if made.peer != self.HONEST.peer:
                raise RemoteError(ErrorCode.REFUSED, "not you")
            return object()

        async def nothing(*_: Any) -> None:
            await trio.lowlevel.checkpoint()

        monkeypatch.setattr(asking, "attempt", attempt)
        monkeypatch.setattr(asking, "find_offers", nothing)
        monkeypatch.setattr(asking, "refresh_offers", nothing)
        monkeypatch.setattr(asking, "now_ms", lambda: NOW + 1)

    async def ask(self) -> object:
        manifest, specs = SimpleNamespace(model=self.HONEST.model), SimpleNamespace(outputs=())
        question = Question(cast(Any, manifest), cast(Any, specs), [], "signed", Amount(9), 30.0)
        return await ask(self.peer, question, lambda _: None)


async def test_attackers_who_are_cheaper_and_give_nothing_cost_one_question_in_twenty_an_attempt(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a memory of who answered they would cost all of them: four attempts, and no answer."""
    town = Town(store, monkeypatch, Acquainted([address_of(Town.HONEST.peer)]))
    for _ in range(2 * EXPLORE_EVERY):
        assert await town.ask()
    assert len(town.asked) - town.asked.count(town.HONEST.peer) == 2
    assert len(set(town.asked)) == 3  # nor was one of them asked twice
    stranger = Town(store, monkeypatch)
    with pytest.raises(CommandError, match="not you"):
        await stranger.ask()
    assert len(stranger.asked) == MAX_ATTEMPTS


async def test_those_who_gave_nothing_come_last_so_that_the_next_question_asks_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town(store, monkeypatch)
    found = 0
    for _ in range(41 // MAX_ATTEMPTS + 1):
        try:
            found += await town.ask() is not None
        except CommandError:
            continue
    assert found == 1


def test_receipts_say_who_answered_before_and_those_of_others_questions_say_nothing(store: Store) -> None:
    for number in range(3):
        store.receipts.put(*receipt_file(number))
    bob = bent(OFFERS[3], peer=BOB.public)
    for payer, first in ((ALICE, bob), (BOB, OFFERS[0])):
        known = recall(cast(Local, SimpleNamespace(store=store, key=payer)))
        assert known.order([*OFFERS[:3], bob], lambda _: 0, NOW, explore=False)[0] == first
        assert known._questions == 3
