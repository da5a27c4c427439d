"""Either side of paid answers dies, at every step, on a real chain with real stores: what was deposited, delivered and
claimed fits together afterwards, and no more than one increment is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from msgspec.structs import replace

from node.config import Config
from node.local import Local
from node.operations.channels import restore_channels
from node.paying.channels import withdraw
from node.paying.claiming import Claiming
from node.paying.earning import Earning
from node.paying.keeping import Keeper
from node.paying.spending import Spending
from p2p import Channel
from p2p.loopback import loopback
from settle import bounds
from settle.chain import Chain, Done, Sender, open_chain, open_sender
from settle.deploy import devnet_terms
from storage import open_store
from storage.backup import Backup
from tests.node.records import offer
from tests.node.settling.village import network_of
from tests.settle.anvil import tell
from tests.settle.town import TOKEN, Town, deployed_devnet
from wire.canonical import Amount
from wire.eip712 import keccak256
from wire.errors import RemoteError
from wire.keys import NodeKey
from wire.network import Network
from wire.offer import Offer, Terms
from wire.payment import Owed, Payment, Voucher

PRICE = 10
DEPOSIT = 200
TIER = Terms(tier="signed", price=Amount(PRICE), added_us=0, added_bytes=0)


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "POLL", (0.01, 0.05))


class Died(Exception):
    """The process is gone: nothing it would have written is written."""


class Dying:
    """An account's transactions until its owner dies, right after the `last` one of that function."""

    def __init__(self, sender: Sender) -> None:
        self._sender, self.address = sender, sender.address
        self.last = ""
        self.die: Callable[[], None] = lambda: None

    async def send(self, purpose: str, contract: bytes, interface: str, function: str, *args: Any) -> Done:
        done = await self._sender.send(purpose, contract, interface, function, *args)
        if function == self.last:
            self.last = ""
            self.die()
            raise Died
        return done


class Side:
    """One peer's books on disk. `live` is one life of it."""

    def __init__(self, place: Path, key: NodeKey, account: NodeKey, network: Network, **settings: Any) -> None:
        self.place, self.key, self.account, self.network = place, key, account, network
        self.config = Config(**{"withdraw_delay": 900, "risk_limit": 1000, "deposit": DEPOSIT} | settings)
        self.backup = place / "elsewhere" / "vouchers"

    @asynccontextmanager
    async def live(self, chain: Chain) -> AsyncIterator[Life]:
        with open_store(self.place / "store") as store:
            backup = Backup(self.backup)
            local = Local(cast(Any, self.place), self.config, self.key, self.network, store, cast(Any, None))
            async with open_sender(chain, self.account, store.transactions) as sender, trio.open_nursery() as nursery:
                life = Life(local, chain, Dying(sender), Keeper(store, backup))
                nursery.start_soon(life.keeper.run)
                try:
                    yield life
                finally:
                    nursery.cancel_scope.cancel()
            backup.close()


class Life:
    def __init__(self, local: Local, chain: Chain, sender: Dying, keeper: Keeper) -> None:
        self.local, self.chain, self.keeper = local, chain, keeper
        self.sender = sender
        sender.die = self.die
        paying = cast(Sender, sender)
        self.spending = Spending(local, chain, paying, keeper)
        self.earning = Earning(local, chain, keeper)
        self.claiming = Claiming(self.earning, local.key, paying, 0)

    def die(self) -> None:
        """From now on its disk takes nothing."""
        self.keeper._put = lambda _: None  # type: ignore[method-assign]


class Deal:
    """One payer and one provider, and what each of them knows to have got."""

    def __init__(self, town: Town, chain: Chain, place: Path, number: int) -> None:
        self.town, self.chain = town, chain
        keys = [NodeKey(keccak256(f"{name} {number}".encode())) for name in ("payer", "provider")]
        network = network_of(town, keys[1:])
        self.payer = Side(place / f"payer-{number}", keys[0], town.account(1), network)
        self.provider = Side(place / f"provider-{number}", keys[1], town.account(2), network)
        self.delivered = self.proved = 0

    def offer_of(self, provider: Life) -> Offer:
        terms = provider.earning.terms([TIER])
        assert terms is not None
        return replace(offer("anyone"), peer=self.provider.key.public, payment=terms)

    async def answer(self, payer: Life, provider: Life, at: str = "") -> None:
        """One paid answer. `at`: where one of the two dies."""

        def moment(name: str, who: Life) -> None:
            if at == name:
                who.die()
                raise Died

        await provider.earning.find_till()
        bought = await payer.spending.buy(self.offer_of(provider), PRICE)
        with bought.ending():
            near, far = loopback()
            async with trio.open_nursery() as nursery:

                async def top_up() -> None:
                    channel = Channel(far, "provider")
                    while True:
                        owed = await channel.receive(Owed, timeout=60)
                        await channel.send(bought.top_up(owed, 0))

                nursery.start_soon(top_up)
                payment = bought.payment
                moment("the payer has signed", payer)
                async with provider.earning.selling(Channel(near, "payer"), payment, TIER, [TIER], PRICE) as selling:
                    moment("the provider has the voucher", provider)
                    await selling.ready(PRICE)
                    moment("the voucher is on disk", provider)
                    self.delivered += PRICE
                    moment("the answer is delivered", provider)
                    if at == "the answer is charged":
                        provider.die()
                    selling.delivered(PRICE)
                    moment("the answer is charged", provider)
                nursery.cancel_scope.cancel()
            moment("the answer has come", payer)
            self.proved += PRICE
            if at == "the answer is accepted":
                payer.die()
            bought.proved(Amount(PRICE))
        moment("the answer is accepted", payer)

    async def on_chain(self, payer: Life) -> tuple[int, int, int]:
        """What the channel holds, what was claimed from it, and what of that is the provider's revenue."""
        spec = self.chain.spec
        (channel,) = payer.spending.payers
        state = await self.chain.call(spec.channels, "Channels", "channels", channel)
        till = await self.chain.call(spec.epochs, "Epochs", "tillOf", self.provider.key.address)
        sums = await self.chain.call(spec.channels, "Channels", "receivers", till, spec.token)
        assert await self.chain.call(spec.token, "HallmarkToken", "balanceOf", till) == 0
        return state["balance"], state["totalClaimed"], sums["totalSettled"]


PAYER = ["approve", "deposit", "the payer has signed", "the answer has come", "the answer is accepted"]
PROVIDER = [
    "the provider has the voucher", "the voucher is on disk", "the answer is delivered", "the answer is charged",
    "claimWithSignature", "collect",
]  # fmt: skip


@asynccontextmanager
async def dealing(confirmations: int = 0) -> AsyncIterator[tuple[Town, Chain]]:
    """A chain whose accounts 1 and 2 have tokens."""
    async with deployed_devnet(devnet_terms(10**6)) as town:
        await town.give(town.account(1).address, TOKEN)
        town.spec = replace(town.spec, confirmations=confirmations)
        async with open_chain(town.spec, town.domain) as chain:
            yield town, chain


async def dies(work: Awaitable[object]) -> bool:
    """Whether somebody died in it; also where a nursery wraps that."""
    try:
        await work
    except Died:
        return True
    except BaseExceptionGroup as group:
        if group.split(Died)[0] is None:
            raise
        return True
    return False


async def test_at_every_step(tmp_path: Path) -> None:
    async with dealing() as (town, chain):
        for number, moment in enumerate([*PAYER, *PROVIDER]):
            deal = Deal(town, chain, tmp_path, number)
            async with deal.payer.live(chain) as payer, deal.provider.live(chain) as provider:
                if moment in ("approve", "deposit"):
                    payer.sender.last = moment
                elif moment not in PAYER:
                    await deal.answer(payer, provider)
                if moment in ("claimWithSignature", "collect"):
                    provider.sender.last = moment
                    assert await dies(provider.claiming.claim()), moment
                else:
                    assert await dies(deal.answer(payer, provider, moment)), moment
            # The one that died comes back with what was on its disk, and so does the other one.
            async with deal.payer.live(chain) as payer, deal.provider.live(chain) as provider:
                if moment in ("claimWithSignature", "collect"):
                    await provider.claiming.look()
                    assert await provider.claiming.claim() == 0, moment
                    assert await deal.on_chain(payer) == (DEPOSIT, PRICE, PRICE), moment
                for _ in range(2):
                    await deal.answer(payer, provider)
                await provider.claiming.claim()
                balance, claimed, collected = await deal.on_chain(payer)
                assert balance == DEPOSIT, moment  # it was paid in once
                assert claimed == collected, moment
                assert deal.delivered - PRICE <= claimed <= deal.delivered, moment  # the provider's loss
                assert claimed <= deal.proved + PRICE, moment  # the payer's
                assert payer.spending.payers[next(iter(payer.spending.payers))].book.owed <= deal.delivered, moment


async def test_a_store_that_is_lost_comes_back_from_its_backup_and_earns_on(tmp_path: Path) -> None:
    async with dealing() as (town, chain):
        deal = Deal(town, chain, tmp_path, 0)
        async with deal.payer.live(chain) as payer:
            async with deal.provider.live(chain) as provider:
                for _ in range(3):
                    await deal.answer(payer, provider)
            (deal.provider.place / "store").rename(tmp_path / "lost")
            async with deal.provider.live(chain) as provider:
                assert provider.earning.payees == {}
                said = await restore_channels(provider.local, {"file": str(deal.provider.backup)}, lambda _: None)
                assert (said["restored"], said["unclaimed"]) == (1, 3 * PRICE)
            async with deal.provider.live(chain) as provider:
                await deal.answer(payer, provider)
                await provider.claiming.look()
                assert await provider.claiming.claim() == 4 * PRICE
                assert await deal.on_chain(payer) == (DEPOSIT, 4 * PRICE, 4 * PRICE)


async def test_a_payer_that_lost_its_store_finds_its_deposit_and_pays_in_once(tmp_path: Path) -> None:
    """And a deposit that a process made which died before it knew is not taken for the next one's."""
    async with dealing() as (town, chain):
        deal = Deal(town, chain, tmp_path, 0)
        async with deal.payer.live(chain) as payer, deal.provider.live(chain) as provider:
            payer.sender.last = "deposit"
            assert await dies(deal.answer(payer, provider))
        async with deal.payer.live(chain) as payer, deal.provider.live(chain) as provider:
            await deal.answer(payer, provider)
            assert (await deal.on_chain(payer))[0] == DEPOSIT
            (of,) = payer.spending.payers.values()
            await payer.spending.deposit(of, 50)
            assert (await deal.on_chain(payer))[0] == of.book.deposit.balance == DEPOSIT + 50


async def test_a_deposit_that_was_refused_may_be_made_again_with_another_amount(tmp_path: Path) -> None:
    async with dealing() as (town, chain):
        deal = Deal(town, chain, tmp_path, 0)
        deal.payer.account = town.account(3)  # that has no tokens yet
        async with deal.payer.live(chain) as payer, deal.provider.live(chain) as provider:
            with pytest.raises(RemoteError, match="ERC20InsufficientBalance"):
                await deal.answer(payer, provider)
            await town.give(town.account(3).address, 10 * DEPOSIT)
            (of,) = payer.spending.payers.values()
            await payer.spending.deposit(of, 5 * DEPOSIT)
            assert (await deal.on_chain(payer))[0] == 5 * DEPOSIT


async def test_deposits_with_two_providers_at_once(tmp_path: Path) -> None:
    """One account, one allowance: neither takes what the other one approved."""
    async with dealing() as (town, chain):
        deals = [Deal(town, chain, tmp_path, number) for number in range(2)]
        async with deals[0].payer.live(chain) as payer:
            for deal in deals:
                async with deal.provider.live(chain) as provider:
                    await provider.earning.find_till()
                    await payer.spending.open(deal.offer_of(provider))
            async with trio.open_nursery() as nursery:
                for amount, of in enumerate(payer.spending.payers.values(), start=50):
                    nursery.start_soon(payer.spending.deposit, of, amount)
            assert sorted(of.book.deposit.balance for of in payer.spending.payers.values()) == [50, 51]


async def test_a_deposit_counts_when_it_is_deep_enough_and_a_reorganisation_takes_nothing_that_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "RESEND_SECONDS", 0.1)
    depth = 3
    async with dealing(depth) as (town, chain):
        deal = Deal(town, chain, tmp_path, 0)
        async with deal.payer.live(chain) as payer, deal.provider.live(chain) as provider:
            await provider.earning.find_till()
            of = await payer.spending.open(deal.offer_of(provider))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(payer.spending.deposit, of, DEPOSIT)
                for _ in range(2):  # taken out, and in again
                    await _mined(town, of.id)
                    with pytest.raises(RemoteError, match="not one that is deep enough"):
                        await _offered(of.id, payer, provider)
                    await tell(town.url, "anvil_reorg", depth - 1, [])
                while of.book.deposit.balance == 0:
                    await town.mine()
                    await trio.sleep(0.01)
            assert of.book.deposit.balance == DEPOSIT
            await deal.answer(payer, provider)
            await tell(town.url, "anvil_reorg", depth, [])
            await town.mine(depth)
            await deal.answer(payer, provider)
            assert (await deal.on_chain(payer))[0] == DEPOSIT


async def test_withdrawals_go_by_the_chains_clock_whatever_the_others_say(tmp_path: Path) -> None:
    """The chain's is ten minutes ahead of both sides': a claim still comes before the end of a withdrawal."""
    async with dealing() as (town, chain):
        await town.forward(600)
        deal = Deal(town, chain, tmp_path, 0)
        async with deal.payer.live(chain) as payer, deal.provider.live(chain) as provider:
            await deal.answer(payer, provider)
            (of,) = payer.spending.payers.values()
            given = chain, cast(Sender, payer.sender), payer.spending.domain, of.book
            assert (await withdraw(*given)).until >= (await chain.head()).timestamp + 890
            await provider.claiming.look()
            with pytest.raises(RemoteError, match="withdrawn"):
                await _offered(of.id, payer, provider)
            assert await provider.claiming.claim() == PRICE
            assert (await withdraw(*given)).until
            await town.forward(900)
            assert (await withdraw(*given)).until == 0
            assert await deal.on_chain(payer) == (PRICE, PRICE, PRICE)


async def _mined(town: Town, channel: bytes) -> None:
    """Return once a block has the deposit; at most one stands on it then."""
    async with town.open() as chain:
        while True:
            state = await chain.call(town.spec.channels, "Channels", "channels", channel)
            if state["balance"]:
                return
            await town.mine()


async def _offered(channel: bytes, payer: Life, provider: Life) -> None:
    """A voucher that nothing covers, to the provider."""
    of = payer.spending.payers[channel]
    signed = payer.spending.sign(of, Voucher(channel=channel, amount=Amount(PRICE)))
    near, _ = loopback()
    payment = Payment(channel=of.book.config, voucher=signed)
    async with provider.earning.selling(Channel(near, "payer"), payment, TIER, [TIER], PRICE):
        pass
