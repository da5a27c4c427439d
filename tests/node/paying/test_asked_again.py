"""A provider that was lost in the middle of a paid answer is asked again for the same question: what that may cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from msgspec.structs import replace

from node import asking
from node.acquainted import Acquainted
from node.asking import ask
from node.attempt import Question, _buy
from node.distrust import Distrust
from node.errors import CommandError
from node.noticeboard import Noticeboard
from node.peer import Peer
from storage import Store
from tests.node.records import DOMAIN, signed_offer, terms
from tests.settle.channel.scenes import voucher
from tests.verify.scenes import NOW
from wire.canonical import Amount
from wire.errors import ErrorCode, RemoteError
from wire.offer import Offer
from wire.payment import Owed

from .test_spending import OFFER, PRICE, Scene, refused

LOST = RemoteError(ErrorCode.LINK_LOST, "cut")


@pytest.fixture
async def scene(store: Store) -> AsyncIterator[Scene]:
    async with trio.open_nursery() as nursery:
        yield Scene(store, nursery)
        nursery.cancel_scope.cancel()


def question(most: int) -> Question:
    manifest, specs = SimpleNamespace(model=OFFER.model), SimpleNamespace(outputs=())
    return Question(cast(Any, manifest), cast(Any, specs), [], "signed", Amount(most), 30.0)


@pytest.mark.parametrize(("most", "believed"), [(PRICE, False), (2 * PRICE - 1, False), (2 * PRICE, True)])
async def test_both_answers_together_cost_no_more_than_the_question_allows(
    scene: Scene, most: int, believed: bool
) -> None:
    """Whatever its provider says that it had charged when the link was lost."""
    peer, offer = cast(Peer, SimpleNamespace(spending=scene.spending)), replace(OFFER, tiers=(terms("signed", PRICE),))
    for again in (False, True):
        bought = await _buy(peer, question(most), offer, trio.current_time() + 9, again)
        assert bought is not None
        assert bought.payment.voucher.voucher.amount == PRICE
        if not again:
            with pytest.raises(RemoteError), bought.ending():
                raise LOST
    assert bought is not None
    said = Owed(charged=Amount(PRICE), needed=Amount(2 * PRICE), held=voucher(PRICE))
    if believed:
        assert bought.top_up(said, 0).voucher.voucher.amount == 2 * PRICE
    else:
        with refused("an answer that never came"):
            bought.top_up(said, 0)
    assert scene.spending.payers[next(iter(scene.spending.payers))].book.signed <= most


async def test_only_one_that_was_lost_at_work_is_asked_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was not reached, or had too much to do, has charged nothing of this question."""
    board, asked, now = Noticeboard(DOMAIN), list[bool](), NOW + 1
    board.take_offer(signed_offer("lost", tiers=(terms("signed", 0),)), now)
    busy = RemoteError(ErrorCode.OVERLOADED, "busy", after_ms=1)
    failures = [RemoteError(ErrorCode.UNREACHABLE, "nobody"), busy, LOST, busy, RemoteError(ErrorCode.REFUSED, "no")]

    async def attempt(_: Any, __: Any, ___: Offer, *____: Any, again: bool) -> Any:
        await trio.lowlevel.checkpoint()
        asked.append(again)
        raise failures[len(asked) - 1]

    async def nothing(*_: Any) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(asking, "attempt", attempt)
    monkeypatch.setattr(asking, "find_offers", nothing)
    monkeypatch.setattr(asking, "refresh_offers", nothing)
    monkeypatch.setattr(asking, "now_ms", lambda: now)
    monkeypatch.setattr("node.tried.LOST_RESTS", (0.0,) * 4)
    peer = SimpleNamespace(
        local=SimpleNamespace(store=store), board=board, distrust=Distrust(), spending=None, acquainted=Acquainted()
    )
    with pytest.raises(CommandError, match="no"):
        await ask(cast(Peer, peer), question(0), lambda _: None)
    assert asked == [False, False, False, True, True]
