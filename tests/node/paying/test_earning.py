"""A provider's side of payment in the node: what it refuses, what it waits for, and what it claims."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from node.paying import earning
from node.paying.claiming import Claiming
from node.paying.earning import Earning
from node.paying.keeping import Keeper
from node.paying.selling import Selling
from p2p import Channel
from p2p.loopback import loopback
from settle.chain import ChainError
from storage import Store, StoreFull, bounds
from storage.backup import Backup, read_backup
from tests.settle.channel.scenes import CONFIG, DOMAIN, ELSEWHERE, PAYER, PROVIDER, STRANGER, book, signed, voucher
from tests.storage.made import ALICE
from wire.canonical import Amount
from wire.errors import ErrorCode, RemoteError
from wire.generation import Tokens
from wire.inference import Ask, Request, SignedRequest, sign_request
from wire.offer import Terms
from wire.payment import Owed, Payment, SignedVoucher, TopUp, Voucher, sign_voucher

from .fakes import FakeChain, FakeSender, local_of

ID = CONFIG.id(DOMAIN)
PRICE = 10
TIER = Terms(tier="signed", price=Amount(PRICE), added_us=0, added_bytes=0)
SPOKEN = Terms(tier="signed", price=Amount(10), added_us=0, added_bytes=0, per_1k_tokens=Amount(1000))


class Scene:
    """A provider with a fake chain; `ask` is a payer's at the other end of a stream."""

    def __init__(self, store: Store, nursery: trio.Nursery, **settings: Any) -> None:
        self.chain = FakeChain()
        self.chain.happens(ID, balance=1000)
        self.sender = FakeSender(self.chain)
        self.keeper = Keeper(store, settings.pop("backup", None))
        self.earning = Earning(local_of(store, **settings), self.chain.as_chain, self.keeper)
        self.earning.till = CONFIG.receiver
        nursery.start_soon(self.keeper.run)
        near, far = loopback()
        self.near, self.far = Channel(near, "payer"), Channel(far, "provider")

    @asynccontextmanager
    async def selling(
        self, amount: int, terms: Terms = TIER, ceiling: int = PRICE, config: Any = CONFIG
    ) -> AsyncIterator[Selling]:
        payment = Payment(channel=config, voucher=voucher(amount, config=config))
        async with self.earning.selling(self.near, payment, terms, [terms], ceiling) as selling:
            yield selling

    async def sell(self, amount: int, price: int = PRICE) -> None:
        async with self.selling(amount) as selling:
            await selling.ready(price)
            selling.delivered(price)

    @property
    def charged(self) -> int:
        return self.earning.payees[ID].book.charged


@pytest.fixture
async def scene(store: Store) -> AsyncIterator[Scene]:
    async with trio.open_nursery() as nursery:
        yield Scene(store, nursery)
        nursery.cancel_scope.cancel()


def request(**changes: Any) -> SignedRequest:
    fields: dict[str, Any] = {
        "nonce": bytes(32), "model": bytes(32), "tier": "signed", "committee": 0, "seed": bytes(32),
        "inputs": bytes(32), "payer": PAYER.address, "provider": PROVIDER.address, "max_price": Amount(PRICE),
        "issued_ms": 1, "deadline_ms": 2,
    }  # fmt: skip
    return sign_request(Request(**fields | changes), PAYER, DOMAIN)


def refused(code: ErrorCode = ErrorCode.PAYMENT) -> Any:
    return pytest.raises(RemoteError, match=rf"\[{code}\]$")


class TestBeforeInputs:
    def check(self, scene: Scene, payment: Payment | None, **changes: Any) -> None:
        scene.earning.check(Ask(request=request(**changes), inputs=(), payment=payment), [TIER])

    async def test_a_good_payment(self, scene: Scene) -> None:
        self.check(scene, Payment(channel=CONFIG, voucher=voucher(PRICE)))

    async def test_none_at_all(self, scene: Scene) -> None:
        with refused():
            self.check(scene, None)

    async def test_a_voucher_for_another_chain(self, scene: Scene) -> None:
        foreign = sign_voucher(Voucher(channel=ID, amount=Amount(PRICE)), PAYER, ELSEWHERE)
        with refused():
            self.check(scene, Payment(channel=CONFIG, voucher=foreign))

    async def test_a_channel_of_somebody_else(self, scene: Scene) -> None:
        with refused():
            self.check(scene, Payment(channel=CONFIG, voucher=voucher(PRICE)), payer=STRANGER.address)

    async def test_a_channel_to_somebody_else(self, scene: Scene) -> None:
        config = replace(CONFIG, receiver=ALICE.address)
        with refused():
            self.check(scene, Payment(channel=config, voucher=voucher(PRICE, config=config)))


class TestASale:
    async def test_it_is_charged_when_it_was_delivered_and_the_voucher_is_on_disk_before(
        self, scene: Scene, store: Store
    ) -> None:
        async with scene.selling(PRICE) as selling:
            await selling.ready(PRICE)
            assert store.payments.payees()[ID].held == voucher(PRICE)
            assert scene.charged == 0
            selling.delivered(PRICE)
        await scene.keeper.saved()
        assert store.payments.payees()[ID].charged == PRICE

    async def test_without_a_certificate_nothing_is_charged(self, scene: Scene) -> None:
        async with scene.selling(PRICE) as selling:
            await selling.ready(PRICE)
        assert scene.charged == 0

    async def test_a_replayed_voucher_pays_for_one_answer(self, scene: Scene) -> None:
        await scene.sell(PRICE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer, scene, voucher(PRICE))
            with refused():
                await scene.sell(PRICE)
        assert scene.charged == PRICE

    async def _answer(self, scene: Scene, given: SignedVoucher) -> Owed:
        owed = await scene.far.receive(Owed, timeout=5)
        await scene.far.send(TopUp(voucher=given))
        return owed

    async def test_a_payer_that_is_behind_is_told_and_may_catch_up(self, scene: Scene) -> None:
        await scene.sell(PRICE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer, scene, voucher(2 * PRICE))
            await scene.sell(PRICE)
        assert scene.charged == 2 * PRICE

    @pytest.mark.parametrize(
        "given",
        [
            sign_voucher(Voucher(channel=ID, amount=Amount(99)), PAYER, ELSEWHERE),
            signed(Voucher(channel=ID, amount=Amount(99)), STRANGER),
            voucher(99, config=replace(CONFIG, salt=b"\1" * 32)),
        ],
        ids=["another chain", "another key", "another channel"],
    )
    async def test_no_other_voucher_tops_up(self, scene: Scene, given: SignedVoucher) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer, scene, given)
            with refused():
                await scene.sell(0)
        assert scene.earning.payees[ID].book.held == voucher(0)

    async def test_a_payer_that_never_tops_up_costs_ten_seconds(
        self,
        scene: Scene,
        autojump_clock: trio.testing.MockClock,  # noqa: ARG002
    ) -> None:
        began = trio.current_time()
        with refused(ErrorCode.TIMEOUT):
            await scene.sell(0)
        assert 9 < trio.current_time() - began < 11
        assert scene.charged == 0

    async def test_no_answer_leaves_while_the_disk_is_full(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bounds, "MAX_CHANNELS", 0)
        with refused(ErrorCode.INTERNAL):
            await scene.sell(PRICE)
        assert scene.charged == 0


class TestAStream:
    async def test_tokens_go_out_as_far_as_they_are_paid(self, scene: Scene) -> None:
        """Steps of 100; a token costs 1, the answer 10 more."""
        signed_for: list[int] = []

        async def pay() -> None:
            while True:
                owed = await scene.far.receive(Owed, timeout=60)
                signed_for.append(int(owed.needed))
                await scene.far.send(TopUp(voucher=voucher(owed.needed)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pay)
            async with scene.selling(100, SPOKEN, 510) as selling:
                assert selling.in_steps
                for sent in range(500):
                    assert scene.earning.payees[ID].book.held.voucher.amount >= min(510, 10 + sent)
                    await selling.pace(Tokens(ids=(7,), text=""))
                await selling.ready(510)
                selling.delivered(510)
            nursery.cancel_scope.cancel()
        assert scene.charged == 510
        assert signed_for[-1] == 510
        assert max(b - a for a, b in zip([100, *signed_for], signed_for, strict=False)) <= 100

    async def test_a_payer_that_stops_paying_gets_no_further(
        self,
        scene: Scene,
        autojump_clock: trio.testing.MockClock,  # noqa: ARG002
    ) -> None:
        sent = 0
        with refused(ErrorCode.TIMEOUT):
            async with scene.selling(100, SPOKEN, 510) as selling:
                while True:
                    await selling.pace(Tokens(ids=(7,), text=""))
                    sent += 1
        assert sent <= 100 - 10
        assert scene.charged == 0


class TestTheChain:
    async def test_a_channel_without_a_deposit_is_no_channel(self, scene: Scene) -> None:
        empty = replace(CONFIG, salt=b"\7" * 32)
        with refused():
            async with scene.selling(PRICE, config=empty):
                pass
        assert empty.id(DOMAIN) not in scene.earning.payees  # strangers' inventions are not kept

    async def test_channels_beyond_the_bound_are_refused_and_those_that_are_known_go_on(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One more on disk than there may be, and nothing more would be written."""
        monkeypatch.setattr(earning, "MAX_CHANNELS", 1)
        await scene.sell(PRICE)
        another = replace(CONFIG, salt=b"\7" * 32)
        scene.chain.happens(another.id(DOMAIN), balance=1000)
        with refused():
            async with scene.selling(PRICE, config=another):
                pass
        await scene.sell(2 * PRICE)
        assert scene.charged == 2 * PRICE

    async def test_a_new_channel_waits_for_the_chain_and_a_known_one_does_not(self, scene: Scene) -> None:
        scene.chain.down = True
        with refused():
            await scene.sell(PRICE)
        scene.chain.down = False
        await scene.sell(PRICE)
        scene.chain.down = True
        await scene.sell(2 * PRICE)
        assert scene.charged == 2 * PRICE

    async def test_an_hour_without_it_answers_go_on_within_the_risk_limit(
        self,
        scene: Scene,
        autojump_clock: trio.testing.MockClock,  # noqa: ARG002
    ) -> None:
        await scene.sell(PRICE)
        scene.chain.down = True
        await trio.sleep(3600)
        answered = 0
        with refused():
            while True:
                await scene.sell((answered + 2) * PRICE)
                answered += 1
        assert answered == scene.earning.risk // PRICE
        scene.chain.down = False
        await trio.sleep(2)
        await scene.sell((answered + 2) * PRICE)

    async def test_a_top_up_counts_at_once(
        self,
        scene: Scene,
        autojump_clock: trio.testing.MockClock,  # noqa: ARG002
    ) -> None:
        await scene.sell(PRICE)
        scene.chain.happens(ID, balance=15)
        await scene.earning.look(scene.earning.payees[ID])
        await trio.sleep(5)
        scene.chain.happens(ID, balance=500)
        await scene.sell(2 * PRICE)

    async def test_what_is_being_withdrawn_pays_for_nothing(self, scene: Scene) -> None:
        await scene.sell(PRICE)
        scene.chain.happens(ID, withdrawing=985)
        claiming = claims(scene)
        await claiming.look()
        with refused():
            await scene.sell(2 * PRICE)

    async def test_a_till_is_found_once_the_chain_answers(self, store: Store) -> None:
        found: list[None] = []
        chain = FakeChain(down=True)
        earning = Earning(local_of(store), chain.as_chain, Keeper(store), lambda: found.append(None))
        assert earning.terms([TIER]) is None
        with pytest.raises(ChainError):
            await earning.find_till()
        chain.down = False
        await earning.find_till()
        terms = earning.terms([TIER])
        assert terms is not None
        assert (terms.receiver, terms.step, found) == (CONFIG.receiver, PRICE, [None])


def claims(scene: Scene, *, coin: int = 0) -> Claiming:
    return Claiming(scene.earning, PROVIDER, scene.sender.as_sender, coin)


class TestClaims:
    async def test_what_was_charged_is_claimed_and_collected(self, scene: Scene) -> None:
        await scene.sell(PRICE)
        claiming = claims(scene)
        assert await claiming.claim() == PRICE
        assert await claiming.claim() == 0
        assert scene.sender.sent == ["claimWithSignature", "collect"]

    async def test_gas_that_costs_too_much_waits(self, scene: Scene) -> None:
        await scene.sell(PRICE)
        assert await claims(scene, coin=10**6).claim() == 0
        assert await claims(scene, coin=10**6).claim(everything=True) == PRICE

    async def test_a_withdrawal_that_begins_is_answered_with_a_claim(self, scene: Scene) -> None:
        await scene.sell(PRICE)
        claiming = claims(scene, coin=10**6)
        await claiming.look()
        assert await claiming.claim() == 0
        scene.chain.happens(ID, withdrawing=900)
        await claiming.look()
        assert await claiming.claim() == PRICE

    async def test_a_claim_that_a_withdrawal_overtakes_takes_what_is_left(
        self, scene: Scene, caplog: pytest.LogCaptureFixture
    ) -> None:
        await scene.sell(PRICE)
        claiming = claims(scene)

        def overtake() -> None:
            scene.sender.before = None
            scene.chain.happens(ID, balance=6)  # the withdrawal ended between the look and the claim

        scene.sender.before = overtake
        with pytest.raises(ChainError, match="AboveBalance"):
            await claiming.claim()
        assert await claiming.claim() == 6
        assert "4 that were earned are gone" in caplog.text

    async def test_without_an_account_it_is_said_once(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        await scene.sell(PRICE)
        claiming = Claiming(scene.earning, PROVIDER, None, 0)
        assert await claiming.claim() == await claiming.claim() == 0
        assert caplog.text.count("no account is unlocked") == 1

    async def test_the_service_outlasts_a_chain_that_is_down(
        self,
        scene: Scene,
        autojump_clock: trio.testing.MockClock,  # noqa: ARG002
    ) -> None:
        await scene.sell(PRICE)
        claiming = claims(scene)
        scene.chain.down = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(claiming.run)
            await trio.sleep(3600)
            assert scene.chain.asked < 100
            scene.chain.down = False
            await trio.sleep(130)
            nursery.cancel_scope.cancel()
        assert scene.earning.payees[ID].book.deposit.claimed == PRICE


class TestKeeping:
    async def test_many_at_once_take_few_transactions(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        writes: list[int] = []
        put = store.payments.put
        monkeypatch.setattr(store.payments, "put", lambda w: (writes.append(len(w.payees)), put(w)))
        keeper = Keeper(store)
        made = book(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keeper.run)
            await trio.testing.wait_all_tasks_blocked()

            async def one(number: int) -> None:
                keeper.earned(number.to_bytes(32, "big"), made)
                await keeper.saved()

            async with trio.open_nursery() as many:
                for number in range(200):
                    many.start_soon(one, number)
            nursery.cancel_scope.cancel()
        assert len(store.payments.payees()) == 200
        assert len(writes) < 10

    async def test_what_waits_is_written_at_the_end(self, store: Store) -> None:
        async with trio.open_nursery() as nursery:
            scene = Scene(store, nursery)
            await scene.sell(PRICE)
            nursery.cancel_scope.cancel()
        assert store.payments.payees()[ID].charged == PRICE

    async def test_the_backup_has_what_the_store_has(self, store: Store, tmp_path: Path) -> None:
        file = tmp_path / "elsewhere"
        async with trio.open_nursery() as nursery:
            scene = Scene(store, nursery, backup=Backup(file))
            await scene.sell(PRICE)
            nursery.cancel_scope.cancel()
        (book,) = read_backup(file).books.values()
        assert book == store.payments.payees()[ID]

    async def test_a_full_store_takes_the_books_once_there_is_room(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with trio.open_nursery() as nursery:
            scene = Scene(store, nursery)
            with monkeypatch.context() as full:
                full.setattr(bounds, "MAX_CHANNELS", 0)
                with pytest.raises(RemoteError):
                    await scene.sell(PRICE)
                with pytest.raises(StoreFull):
                    await scene.keeper.saved()
            await scene.sell(PRICE)
            nursery.cancel_scope.cancel()
        assert store.payments.payees()[ID].charged == PRICE
