"""A payer's side of payment in the node: whom it pays, from what, and what it never pays for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from node.paying.keeping import Keeper
from node.paying.spending import Bought, Spending
from node.tiers.rung import NotProved, NotWanted
from storage import Store
from tests.node.records import offer
from tests.settle.channel.scenes import CONFIG, DOMAIN, PAYER, PROVIDER, TERMS, voucher
from wire.canonical import Amount
from wire.errors import ErrorCode, RemoteError
from wire.offer import Offer
from wire.payment import Owed

from .fakes import FakeChain, FakeSender, local_of

ID = CONFIG.id(DOMAIN)
PRICE = 10
OFFER: Offer = replace(offer("anyone"), peer=PROVIDER.public, payment=TERMS)


class Scene:
    """A payer with an account on a fake chain."""

    def __init__(self, store: Store, nursery: trio.Nursery, *, account: bool = True, **settings: Any) -> None:
        self.chain, self.store = FakeChain(), store
        self.sender = FakeSender(self.chain)
        self.keeper = Keeper(store)
        local = local_of(store, PAYER, **{"deposit": 100} | settings)
        self.spending = Spending(
            local, self.chain.as_chain, self.sender.as_sender if account else None, self.keeper
        )  # fmt: skip
        nursery.start_soon(self.keeper.run)

    async def buy(self, ceiling: int = PRICE, by: Offer = OFFER) -> Bought:
        return await self.spending.buy(by, ceiling)

    async def paid(self, price: int = PRICE) -> None:
        bought = await self.buy(price)
        assert bought.payment.voucher.is_signed(PAYER.address, DOMAIN)
        with bought.ending():
            bought.proved(Amount(price))

    @property
    def owed(self) -> int:
        return self.spending.payers[ID].book.owed


@pytest.fixture
async def nursery_() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


@pytest.fixture
def scene(store: Store, nursery_: trio.Nursery) -> Scene:
    return Scene(store, nursery_)


def refused(text: str) -> Any:
    return pytest.raises(RemoteError, match=rf"(?s){text}.*\[payment\]$")


class TestChannels:
    async def test_the_first_answer_opens_one_and_the_next_ones_use_it(self, scene: Scene) -> None:
        await scene.paid()
        await scene.paid()
        assert scene.sender.sent == ["approve", "deposit"]
        assert (scene.owed, scene.spending.payers[ID].left) == (20, 80)

    async def test_one_that_is_used_up_is_filled_again(self, scene: Scene) -> None:
        for _ in range(11):
            await scene.paid()
        assert scene.sender.sent == ["approve", "deposit"] * 2
        assert scene.spending.payers[ID].book.deposit.balance == 200

    async def test_many_at_once_open_one(self, scene: Scene) -> None:
        async with trio.open_nursery() as many:
            for _ in range(8):
                many.start_soon(scene.paid)
        assert scene.sender.sent == ["approve", "deposit"]
        assert scene.owed == 80

    @pytest.mark.parametrize(("settings", "why"), [({"account": False}, "unlocked"), ({"deposit": 0}, "deposit is 0")])
    async def test_where_nothing_may_be_deposited_the_command_is_said(
        self, store: Store, nursery_: trio.Nursery, settings: dict[str, Any], why: str
    ) -> None:
        scene = Scene(store, nursery_, **settings)
        with refused(f"{why}.*hallmark channel open {PROVIDER.peer_id} --deposit AMOUNT"):
            await scene.buy()
        assert scene.sender.sent == []

    async def test_books_outlast_the_process(self, scene: Scene, store: Store, nursery_: trio.Nursery) -> None:
        await scene.paid()
        await scene.keeper.saved()
        again = Scene(store, nursery_)
        assert again.owed == PRICE
        again.chain = scene.chain
        bought = await again.buy()
        assert bought.payment.voucher.voucher.amount == 2 * PRICE

    async def test_a_lost_store_finds_its_channel_on_the_chain(self, scene: Scene) -> None:
        """The channel's id is made of what is known again, and what was claimed counts."""
        scene.chain.happens(ID, balance=500, claimed=70)
        await scene.paid()
        assert scene.sender.sent == []
        assert scene.owed == 80

    async def test_an_offer_with_a_till_of_its_own_is_not_paid(self, scene: Scene) -> None:
        with refused("another place than the network's till"):
            await scene.buy(by=replace(OFFER, payment=replace(TERMS, receiver=b"\x66" * 20)))

    @pytest.mark.parametrize(
        "changes", [{"channels": b"\1" * 20}, {"token": b"\1" * 20}, {"receiver_authorizer": ID[:20]}]
    )
    async def test_nor_one_with_contracts_or_keys_of_its_own(self, scene: Scene, changes: dict[str, bytes]) -> None:
        with refused("it wants"):
            await scene.buy(by=replace(OFFER, payment=replace(TERMS, **changes)))

    async def test_while_the_chain_is_down_an_open_channel_pays(self, scene: Scene) -> None:
        await scene.paid()
        scene.chain.down = True
        await scene.paid()
        with refused("cannot be asked"):
            await scene.buy(ceiling=90)
        assert scene.owed == 20


class TestWhatIsOwed:
    async def test_nothing_for_an_answer_that_is_not_proved(self, scene: Scene) -> None:
        await scene.paid()
        for failure in (NotProved("it is wrong"), NotWanted("too little"), RemoteError(ErrorCode.FAILED, "no")):
            bought = await scene.buy()
            with pytest.raises(type(failure)), bought.ending():
                raise failure
        assert scene.owed == PRICE

    async def test_a_provider_that_charges_what_was_rejected_is_not_paid(self, scene: Scene) -> None:
        await scene.paid()
        with pytest.raises(NotProved), (await scene.buy()).ending():
            raise NotProved("it is wrong")
        bought = await scene.buy()
        with refused("the proved answers and this one are 0.00000000000000002 "):
            bought.top_up(Owed(charged=Amount(20), needed=Amount(30), held=voucher(20)), 0)
        assert scene.owed == PRICE

    async def test_the_same_voucher_is_not_asked_for_twice(self, scene: Scene) -> None:
        bought = await scene.buy()
        said = Owed(charged=Amount(0), needed=Amount(PRICE), held=None)
        assert bought.top_up(said, 0).voucher.voucher.amount == PRICE
        with refused("twice"):
            bought.top_up(said, 0)

    async def test_what_it_believes_counts_as_spent(self, store: Store, nursery_: trio.Nursery) -> None:
        scene = Scene(store, nursery_, max_per_day=100)
        bought = await scene.buy()
        bought.top_up(Owed(charged=Amount(40), needed=Amount(50), held=voucher(40)), 0)
        with bought.ending():
            bought.proved(Amount(PRICE))
        assert scene.spending.room(OFFER) == 50
        assert scene.owed == 50


class TestAskedAgain:
    """A provider was lost in the middle of a paid answer, and is asked again: what both cost is bounded."""

    async def lost(self, scene: Scene) -> None:
        with pytest.raises(RemoteError), (await scene.buy()).ending() as _:
            raise RemoteError(ErrorCode.LINK_LOST, "cut")

    async def test_one_that_cuts_the_link_and_charges_for_nothing_gets_no_more_than_the_question_allows(
        self, scene: Scene
    ) -> None:
        """However often it does that."""
        await scene.paid()
        for _ in range(3):
            await self.lost(scene)
            bought = await scene.spending.buy(OFFER, PRICE, spare=0)
            assert bought.payment.voucher.voucher.amount == 2 * PRICE  # the lost one's voucher covers this one
            with refused("counts 0.00000000000000001 for an answer that never came"):
                bought.top_up(Owed(charged=Amount(20), needed=Amount(30), held=voucher(20)), 0)
            with pytest.raises(RemoteError), bought.ending():
                raise RemoteError(ErrorCode.PAYMENT, "no")
        assert (scene.owed, scene.spending.payers[ID].book.signed) == (PRICE, 2 * PRICE)

    async def test_one_that_was_at_work_answers_for_the_same_voucher(self, scene: Scene) -> None:
        await self.lost(scene)
        bought = await scene.spending.buy(OFFER, PRICE, spare=0)
        assert bought.payment.voucher.voucher.amount == PRICE
        with bought.ending():
            bought.proved(Amount(PRICE))
        assert (scene.owed, scene.spending.payers[ID].book.signed) == (PRICE, PRICE)

    async def test_one_that_had_answered_is_believed_where_the_question_allows_both(self, scene: Scene) -> None:
        await self.lost(scene)
        bought = await scene.spending.buy(OFFER, PRICE, spare=PRICE)
        assert (
            bought.top_up(Owed(charged=Amount(10), needed=Amount(20), held=voucher(10)), 0).voucher.voucher.amount == 20
        )
        with bought.ending():
            bought.proved(Amount(PRICE))
        assert scene.owed == 2 * PRICE

    async def test_a_voucher_beyond_what_it_says_to_have_charged_is_not_given_either(self, scene: Scene) -> None:
        await self.lost(scene)
        bought = await scene.spending.buy(OFFER, PRICE, spare=PRICE - 1)
        with refused("never came"):
            bought.top_up(Owed(charged=Amount(0), needed=Amount(20), held=voucher(10)), 0)


class TestBudgets:
    async def test_no_answer_over_a_limit_is_bought(self, store: Store, nursery_: trio.Nursery) -> None:
        scene = Scene(store, nursery_, max_per_request=15, max_per_provider=25)
        with refused("may cost 0.000000000000000016, your limits leave 0.000000000000000015"):
            await scene.buy(ceiling=16)
        await scene.paid(15)
        with refused("your limits leave 0.00000000000000001 "):
            await scene.buy(ceiling=11)
        await scene.paid(10)
        assert scene.spending.room(OFFER) == 0

    async def test_what_was_spent_is_known_after_a_restart(self, store: Store, nursery_: trio.Nursery) -> None:
        scene = Scene(store, nursery_, max_per_day=25)
        await scene.paid(20)
        await scene.keeper.saved()
        assert Scene(store, nursery_, max_per_day=25).spending.room(OFFER) == 5

    async def test_an_answer_that_failed_gives_its_room_back(self, store: Store, nursery_: trio.Nursery) -> None:
        scene = Scene(store, nursery_, max_per_day=10)
        with pytest.raises(NotProved), (await scene.buy()).ending():
            raise NotProved("it is wrong")
        await scene.paid()

    async def test_a_channel_that_cannot_be_opened_takes_no_room(self, store: Store, nursery_: trio.Nursery) -> None:
        scene = Scene(store, nursery_, max_per_day=10)
        scene.chain.down = True
        with refused("cannot be"):
            await scene.buy()
        scene.chain.down = False
        await scene.paid()
        with pytest.raises(RemoteError), (await scene.spending.buy(OFFER, 0)).ending():
            raise RemoteError(ErrorCode.FAILED, "no")
