"""An account's transactions on two real engines: whatever happens to one of them, its effect happens once."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from settle import bounds
from settle.chain import Chain, Refused, Sender, Unavailable, open_chain, open_sender
from settle.deploy import bare, open_bare
from settle.errors import ChainError
from settle.transactions import Transaction
from storage import open_store
from tests.settle.anvil import anvil, free_port, needs_anvil, tell
from tests.settle.town import ENGINES, ETHER, MemoryJournal, account
from wire.eip712 import Domain
from wire.keys import NodeKey

DEVNET = Domain(chain_id=31337, contract=bytes(20))
SOMEBODY = bytes([0xAB] * 20)


@dataclass
class Place:
    """A chain with a token that account 0 has all of."""

    url: str
    chain: Chain
    sender: Sender
    journal: MemoryJournal
    token: bytes = b""

    async def pay(self, purpose: str, amount: int = 1, *, sender: Sender | None = None) -> object:
        return await (sender or self.sender).send(purpose, self.token, "HallmarkToken", "transfer", SOMEBODY, amount)

    async def paid(self) -> int:
        return int(await self.chain.call(self.token, "HallmarkToken", "balanceOf", SOMEBODY))


@asynccontextmanager
async def place_on(engine: str, confirmations: int = 0) -> AsyncIterator[Place]:
    journal = MemoryJournal()
    async with ENGINES[engine]() as url:
        async with open_bare([url], 0) as chain, open_sender(chain, account(0), journal) as sender:
            done = await sender.deploy("token", "HallmarkToken", "OPG", "OPG", account(0).address)
        opening = open_chain(bare([url], confirmations), DEVNET)
        async with opening as chain, open_sender(chain, account(0), journal) as sender:
            yield Place(url, chain, sender, journal, done.created)


engines = pytest.mark.parametrize("engine", ["devnet", pytest.param("anvil", marks=needs_anvil)])


@engines
async def test_many_at_once_are_each_sent_once(engine: str) -> None:
    async with place_on(engine) as place:
        async with trio.open_nursery() as nursery:
            for n in range(2 * bounds.MAX_PENDING):
                nursery.start_soon(place.pay, f"pay {n % 20}")  # some purposes twice
        assert await place.paid() == 20
        again = await place.pay("pay 3", 1_000_000)
        assert await place.paid() == 20
        assert again == await place.pay("pay 3")
        assert place.sender.pending == ()


@engines
async def test_what_a_contract_refuses_is_not_sent(engine: str) -> None:
    async with place_on(engine) as place, open_sender(place.chain, account(1), place.journal) as poor:
        with pytest.raises(Refused, match=r"ERC20InsufficientBalance\(sender 0x.*, balance 0, needed 1\)"):
            await place.pay("pay", sender=poor)
        assert poor.pending == ()
        await place.sender.send("gift", place.token, "HallmarkToken", "transfer", poor.address, 5)
        await place.pay("pay", sender=poor)  # nothing had happened, so the purpose is free
        assert await place.paid() == 1


@engines
async def test_an_account_without_coins_is_told(engine: str) -> None:
    stranger = NodeKey(bytes([9] * 32))
    async with place_on(engine) as place, open_sender(place.chain, stranger, place.journal) as poor:
        with pytest.raises(Refused, match="coin"):
            await poor.transfer("pay", SOMEBODY, 1)
        with pytest.raises(Refused, match="coin"):
            await poor.transfer("pay", SOMEBODY, 10**30)


@needs_anvil
async def test_a_dropped_one_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RESEND_SECONDS", 0.2)
    async with place_on("anvil") as place:
        await tell(place.url, "evm_setAutomine", False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.pay, "pay")
            entry = await pending(place)
            await tell(place.url, "anvil_dropTransaction", "0x" + entry.hex())
            await known(place, entry)
            await tell(place.url, "evm_mine")
        assert await place.paid() == 1


@needs_anvil
async def test_a_stuck_one_is_offered_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "STUCK_SECONDS", 0.3)
    async with place_on("anvil") as place:
        await tell(place.url, "evm_setAutomine", False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.pay, "pay")
            first = await pending(place)
            await tell(place.url, "anvil_setNextBlockBaseFeePerGas", hex(20 * 10**9))
            await tell(place.url, "evm_mine")
            await until(lambda: len(place.sender.pending[0].versions) > 1)
            while place.sender.pending:
                await tell(place.url, "evm_mine")
                await trio.sleep(0.02)
        assert await place.paid() == 1
        done = await place.sender.send("pay", place.token, "HallmarkToken", "transfer", SOMEBODY, 1)
        assert done.hash != first


@engines
async def test_one_that_a_reorganisation_takes_out_comes_back(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RESEND_SECONDS", 0.2)
    ended = trio.Event()
    async with place_on(engine, confirmations=3) as place:

        async def pay() -> None:
            await place.pay("pay")
            ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pay)
            while await place.paid() == 0:  # noqa: ASYNC110
                await trio.sleep(0.005)
            await tell(place.url, "evm_setAutomine", False)
            await tell(place.url, "anvil_reorg", 1, [])
            assert await place.paid() == 0
            assert not ended.is_set()
            await tell(place.url, "evm_setAutomine", True)
            while not ended.is_set():
                await tell(place.url, "evm_mine")
                await trio.sleep(0.02)
        assert await place.paid() == 1


@engines
async def test_a_nonce_that_somebody_else_uses_is_told_and_may_be_tried_again(engine: str) -> None:
    async with place_on(engine) as place:
        await tell(place.url, "evm_setAutomine", False)
        async with trio.open_nursery() as nursery:
            failed = trio.Event()

            async def pay() -> None:
                with pytest.raises(Refused, match="another transaction"):
                    await place.pay("pay")
                failed.set()

            nursery.start_soon(pay)
            await known(place, await pending(place))
            nonce = place.sender.pending[0].nonce
            fees = 100 * 10**9
            other = Transaction(31337, nonce, SOMEBODY, 7, b"", 21_000, fees, fees).sign(account(0))
            await tell(place.url, "eth_sendRawTransaction", "0x" + other.hex())
            await tell(place.url, "evm_mine")
            await failed.wait()
        assert await place.paid() == 0
        await tell(place.url, "evm_setAutomine", True)
        await place.pay("pay")
        assert await place.paid() == 1


async def test_two_processes_that_send_from_one_account() -> None:
    """Each with a journal of its own: what the other one displaced is told, and in the end everything happened once."""
    async with place_on("devnet") as place, open_sender(place.chain, account(0), MemoryJournal()) as other:
        displaced: list[str] = []

        async def pay(sender: Sender, purpose: str) -> None:
            amount = 1 if sender is other else 100  # what is the same to the last bit is one transaction
            while True:
                try:
                    await place.pay(purpose, amount, sender=sender)
                except Refused:
                    displaced.append(purpose)
                else:
                    return

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for number in range(6):
                    for sender in (place.sender, other):
                        nursery.start_soon(pay, sender, f"pay {number}")
        assert displaced
        assert await place.paid() == 606
        assert place.sender.pending == other.pending == ()


@needs_anvil
async def test_a_chain_that_comes_up_late() -> None:
    port = free_port()
    journal = MemoryJournal()
    opening = open_chain(bare([f"http://127.0.0.1:{port}"], 0), DEVNET)
    async with opening as chain, open_sender(chain, account(0), journal) as sender:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await sender.transfer("pay", SOMEBODY, 5)
        async with anvil(port=port) as url:
            await tell(url, "anvil_setBalance", "0x" + account(0).address.hex(), hex(ETHER))
            await sender.transfer("pay", SOMEBODY, 5)
            assert await chain.balance(SOMEBODY) == 5


async def test_what_was_written_down_and_not_sent_is_sent_by_the_next_process() -> None:
    async with place_on("devnet") as place:
        await tell(place.url, "evm_setAutomine", False)
        with trio.move_on_after(1):  # the first process: it ends while its payment waits
            async with open_sender(place.chain, account(1), place.journal) as first:
                await first.transfer("pay", SOMEBODY, 5)
        (entry,) = (e for e in [first.pending] if e)
        await tell(place.url, "anvil_dropTransaction", "0x" + entry[0].versions[0].hex())
        async with open_sender(place.chain, account(1), place.journal) as second:
            await tell(place.url, "evm_setAutomine", True)
            done = await second.transfer("pay", SOMEBODY, 5)
        assert done.hash == entry[0].versions[0]
        assert await place.chain.balance(SOMEBODY) == 5


@pytest.mark.parametrize("moment", ["written", "told"])
async def test_kill_between_the_journal_and_the_chain(moment: str, tmp_path: Path) -> None:
    async with ENGINES["devnet"]() as url:
        script = [sys.executable, "-m", "tests.settle.dying_sender", url, str(tmp_path / "store"), moment]
        process = await trio.run_process(script, check=False, capture_stdout=True)
        assert process.returncode == -9
        assert process.stdout.strip() == b"dies"
        with open_store(tmp_path / "store") as store:
            async with open_bare([url], 0) as chain:
                async with open_sender(chain, account(0), store.transactions) as sender:
                    await sender.transfer("pay", SOMEBODY, 5)
                    await sender.transfer("pay", SOMEBODY, 5)
                assert await chain.balance(SOMEBODY) == 5


async def test_a_journal_of_another_chain_is_not_this_ones() -> None:
    journal = MemoryJournal()
    for _ in range(2):
        async with ENGINES["devnet"]() as url, open_bare([url], 0) as chain:
            async with open_sender(chain, account(0), journal) as sender:
                await sender.transfer("pay", SOMEBODY, 5)
            assert await chain.balance(SOMEBODY) == 5


async def test_a_damaged_journal_sends_nothing() -> None:
    async with place_on("devnet") as place:
        journal = MemoryJournal()
        journal.all = lambda whose: [b"no entry"]  # type: ignore[method-assign]  # noqa: ARG005
        async with open_sender(place.chain, account(1), journal) as sender:
            with pytest.raises(ChainError, match="journal"):
                await sender.transfer("pay", SOMEBODY, 5)
        assert await place.chain.balance(SOMEBODY) == 0


def test_nothing_secret_is_shown() -> None:
    key = account(0)
    sender = Sender(None, key, MemoryJournal())  # type: ignore[arg-type]
    assert key.secret.hex() not in repr(sender) + repr(key)


async def pending(place: Place) -> bytes:
    """The hash of the first transaction that is written down."""
    await until(lambda: bool(place.sender.pending))
    return place.sender.pending[0].versions[0]


async def known(place: Place, name: bytes) -> None:
    """Return once the chain has heard of it."""
    with trio.fail_after(20):
        while await tell(place.url, "eth_getTransactionByHash", "0x" + name.hex()) is None:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def until(holds: Callable[[], bool]) -> None:
    """Return once it holds; what is looked at tells nobody when it changes."""
    with trio.fail_after(20):
        while not holds():  # noqa: ASYNC110
            await trio.sleep(0.005)
