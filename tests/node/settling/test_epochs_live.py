"""Whole epochs on a real chain: receipts handed over, one root, a window, claims; and roots that are wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
from msgspec.structs import replace

from node.config import Config
from node.listening import LOOPBACK
from node.opening import open_peer
from node.operations.epochs import claim, list_epochs, show_epoch
from node.peer import Peer
from settle.epoch import Ready
from settle.lines import Claimed, Settlement, Shares, lines_of
from settle.tree import Tree
from tests.settle.contracts.bonds import SETTLER
from tests.settle.town import TOKEN
from tests.verify.scenes import key_of
from verify.settling import slim
from wire.canonical import Amount
from wire.keys import NodeKey
from wire.receiptfile import ReceiptFile
from wire.settlement import AskTree, EpochRoot, Settle, Settled, SettlementLine, sign_root
from wire.settlement import Tree as SomeLines

from .deals import Deal
from .village import BOND, Village, register, served, settle_in, village

T = TypeVar("T")
PRICE = 10_000
SHARES = Shares(publisher_max=2_000, verifiers=1_000, hubs=300, treasury=500, unreceipted=5_000)


async def hand_over(peer: Peer, to: Peer, file: ReceiptFile) -> Settled:
    """As a provider does."""
    async with peer.host.exchange(to.host.peer_id, "settle") as channel:
        await channel.send(Settle(file=slim(file)))
        return await channel.receive(Settled, timeout=30)


async def soon(probe: Callable[[], Awaitable[T]], what: str, seconds: float = 60) -> T:
    """The first true result."""
    with trio.move_on_after(seconds):
        while True:
            if found := await probe():
                return found
            await trio.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


async def root_of(place: Village, epoch: int, status: int) -> dict[str, Any] | None:
    said: Any = await place.ask("rootOf", epoch)
    return dict(said) if said["status"] >= status else None


async def deals(place: Village, count: int, **changes: Any) -> list[Deal]:
    """Answers that were finished just now, certified by everybody."""
    async with place.town.open() as chain:
        now = (await chain.head()).timestamp
    on = place.peers[0].network
    given = {"tier": "quorum", "verifiers": len(on.verifiers), "price": PRICE} | changes
    return [Deal(on=on, at_ms=now * 1000, number=i, **given) for i in range(count)]


def nothing(_: object) -> None:
    pass


async def test_receipts_become_one_root_and_everybody_is_paid(tmp_path: Path) -> None:
    """Four settlers of whom one is down; receipts at one settler each; more revenue than receipts, and then less."""
    async with village(tmp_path, settlers=4, up=3) as place:
        town, provider = place.town, key_of("provider")
        first = await deals(place, 3)
        for i, deal in enumerate(first):
            told = await hand_over(place.peers[2], place.peers[i % 3], deal.file)
            assert told == Settled(receipt=deal.receipt_digest, epoch=None)
        epoch = await place.earn(2 * PRICE + 5_000)  # the third one finds no revenue
        await town.forward(20)
        said = await soon(lambda: root_of(place, epoch, 1), "a root")
        claims = [_claimed(deal) for deal in sorted(first, key=lambda d: d.receipt_digest)[:2]]
        expected = lines_of(claims, {provider.address: 2 * PRICE + 5_000}, SHARES, (), {}, bytes(32))
        assert said["root"] == Tree.of(expected.lines).root
        await town.forward(11)
        await soon(lambda: root_of(place, epoch, 2), "the root is final")

        stakes = await soon(lambda: _rewarded(place), "the settlers' own claims")
        assert stakes == [BOND + 2 * (PRICE // 10 // 4)] * 3
        directory = settle_in(tmp_path / "provider", provider, place.network)
        config = Config(bootstraps=place.peers[0].host.addresses)
        before = await place.balance(town.account(9))
        async with open_peer(directory, config, serving=False, account=town.account(9)) as peer:
            shown = await show_epoch(peer, {"epoch": epoch}, nothing)
            assert [(run["role"], run["lines"]) for run in shown["lines"]] == [("provider", 2), ("unreceipted", 1)]
            assert len(shown["root"]["signers"]) == 3
            assert shown["status"] == "final"
            done = await claim(peer, {"epoch": None}, nothing)
            kept = 2 * (PRICE - PRICE // 100 - PRICE // 10 - PRICE * 3 // 100 - PRICE // 20)
            assert [(one["role"], one["amount"]) for one in done["claimed"]] == [
                ("provider", kept),
                ("unreceipted", 2_500),
            ]
            assert await place.balance(town.account(9)) == before + kept + 2_500
            assert (await claim(peer, {"epoch": None}, nothing))["claimed"] == []
            assert (await show_epoch(peer, {"epoch": epoch}, nothing))["lines"][0]["claimed"]
        store = place.peers[0].local.store.settling
        settled = [store.settled_in(deal.receipt_digest) for deal in sorted(first, key=lambda d: d.receipt_digest)]
        assert settled == [epoch, epoch, None]

        # The third receipt waited, and the next epoch's revenue pays it.
        later = await place.earn(PRICE)
        await town.forward(20)
        said = await soon(lambda: root_of(place, later, 1), "the next root")
        left = [_claimed(deal) for deal in sorted(first, key=lambda d: d.receipt_digest)[2:]]
        expected = lines_of(left, {provider.address: PRICE}, SHARES, (), {}, bytes(32))
        assert said["root"] == Tree.of(expected.lines).root
        listed = await list_epochs(place.peers[0], {"limit": 50}, nothing)
        assert [row["status"] for row in listed["epochs"] if row["epoch"] == later] == ["in its window"]


def _claimed(deal: Deal) -> Claimed:
    return Claimed(
        receipt=deal.receipt_digest,
        provider=deal.provider.address,
        price=deal.price,
        finished_ms=deal.at_ms,
        publisher=key_of("publisher").address,
        royalty_bps=100,
        verifiers=tuple(key.address for key in deal.keys),
    )


async def _rewarded(place: Village) -> list[int]:
    """What stands behind the settlers that run, once all of them have been paid."""
    async with place.town.open() as chain:
        found = [
            int(await chain.call(place.town.domain.contract, "Registry", "stakeOf", peer.local.key.address))
            for peer in place.peers
        ]
    return found if all(stake > BOND for stake in found) else []


class Cheats:
    """Three of four settlers, whose keys are the test's: they sign what they like."""

    def __init__(self, place: Village) -> None:
        self.place = place
        self.keys = [key_of(f"verifier {i}") for i in (1, 2, 3)]
        self.shown: list[SettlementLine] | None = None  # what they show to who asks for the lines
        self.root: EpochRoot | None = None

    async def post(self, epoch: int, settled: Settlement) -> EpochRoot:
        """A root of whatever lines, signed by all of them."""
        town = self.place.town
        self.root = EpochRoot(
            epoch=epoch, root=Tree.of(settled.lines).root, count=len(settled.lines), total=Amount(settled.total),
            receipts=settled.receipts,
        )  # fmt: skip
        signed = sorted((sign_root(self.root, key, town.domain) for key in self.keys), key=lambda s: s.settler)
        ready = Ready(self.root, tuple(s.settler for s in signed), tuple(s.signature for s in signed))
        async with town.open() as chain, town.sender(chain, town.account(5)) as sender:
            await sender.send(
                f"post {epoch}", town.spec.epochs, "Epochs", "post", epoch, self.root.root, self.root.count,
                int(self.root.total), self.root.receipts, list(ready.signers), list(ready.signatures),
            )  # fmt: skip
        return self.root

    async def serve(self, channel: Any) -> None:
        """Shows the lines, and agrees to nothing."""
        asked = await channel.receive(AskTree, timeout=30)
        assert self.shown is not None
        assert self.root is not None
        await channel.send(SomeLines(root=self.root, lines=tuple(self.shown[asked.first : asked.first + 1000])))


async def _stake(place: Village, key: NodeKey) -> int:
    async with place.town.open() as chain:
        return int(await chain.call(place.town.domain.contract, "Registry", "stakeOf", key.address))


async def _fell(place: Village, epoch: int, root: EpochRoot) -> bool:
    said: Any = await place.ask("fallenOf", epoch, root.root, root.count, int(root.total))
    return bool(any(said["challenger"]) and not said["unpunished"])


@pytest.mark.parametrize("hidden", [False, True], ids=["shown", "hidden"])
async def test_a_wrong_root_is_challenged_cancelled_and_its_signers_slashed(tmp_path: Path, hidden: bool) -> None:
    """Three of four sign that the provider earned more than its receipt gives. One settler is honest, and that is
    enough, whether or not the cheats show their lines."""
    async with village(tmp_path, settlers=4, up=1) as place:
        town, cheats, honest = place.town, Cheats(place), place.peers[0]
        await town.give(town.account(1).address, 10 * TOKEN)  # for the bond of a demand
        (deal,) = await deals(place, 1)
        await hand_over(honest, honest, deal.file)
        epoch = await place.earn(50_000)
        directory = settle_in(tmp_path / "cheat", cheats.keys[0], place.network)
        config = Config(roles=("hub",), listen=LOOPBACK, bootstraps=honest.host.addresses)
        async with open_peer(directory, config, serving=True) as cheat:
            await town.forward(20)
            await soon(lambda: _ended(place, epoch), "the next epoch")
            wrong = lines_of([_claimed(deal)], {deal.provider.address: PRICE}, SHARES, (), {}, bytes(32))
            lines = [_dearer(line, 500) if i == 0 else line for i, line in enumerate(wrong.lines)]
            lines = _summed(lines)
            if not hidden:
                cheat.host.handle("settle", cheats.serve)
                cheats.shown = lines
            total = lines[-1].sum_before + lines[-1].amount
            root = await cheats.post(epoch, Settlement(tuple(lines), total, wrong.paid, ()))
            if hidden:
                await soon(lambda: _demanded(place, epoch), "a demand")
                await town.forward(6)
            await soon(lambda: _fell(place, epoch, root), "the wrong root falls, and its signers are slashed")
        assert [await _stake(place, key) for key in cheats.keys] == [0, 0, 0]
        assert await _stake(place, honest.local.key) == BOND
        assert await root_of(place, epoch, 1) is None


async def _ended(place: Village, epoch: int) -> bool:
    said: Any = await place.ask("settlersOf", epoch)
    return bool(said["named"])


async def _demanded(place: Village, epoch: int) -> bool:
    for index in range(8):
        said: Any = await place.ask("demandOf", epoch, index)
        if any(said["challenger"]):
            return True
    return False


def _dearer(line: SettlementLine, more: int) -> SettlementLine:
    return replace(line, amount=Amount(line.amount + more))


def _summed(lines: list[SettlementLine]) -> list[SettlementLine]:
    found, before = [], 0
    for line in lines:
        found.append(replace(line, sum_before=Amount(before)))
        before += line.amount
    return found


async def test_an_honest_roots_demanded_line_is_shown(tmp_path: Path) -> None:
    """Whoever demands a line of a right root loses its bond, and the root stays."""
    async with village(tmp_path, settlers=1) as place:
        town, settler = place.town, place.peers[0]
        (deal,) = await deals(place, 1, tier="signed")
        await hand_over(settler, settler, deal.file)
        epoch = await place.earn(PRICE)
        await town.forward(20)
        await soon(lambda: root_of(place, epoch, 1), "a root")
        attacker = town.account(6)
        await town.give(attacker.address, 10 * TOKEN)
        async with town.open() as chain, town.sender(chain, attacker) as sender:
            await sender.send("approve", town.spec.token, "HallmarkToken", "approve", town.spec.epochs, TOKEN)
            await sender.send("demand", town.spec.epochs, "Epochs", "demand", epoch, 0)

        async def is_shown() -> bool:
            said: Any = await place.ask("demandOf", epoch, 0)
            return bool(said["closed"])

        await soon(is_shown, "the line is shown")
        await town.forward(11)
        await soon(lambda: root_of(place, epoch, 2), "the root is final")
        assert await place.balance(attacker) == 9 * TOKEN


async def test_an_epoch_whose_settlers_are_gone_is_settled_by_those_of_a_later_one(tmp_path: Path) -> None:
    """Both settlers of an epoch never run; who joined later rolls it over and signs it: its revenue is not stuck."""
    async with village(tmp_path, settlers=2, up=0) as place:
        town, newcomer = place.town, key_of("newcomer")
        epoch = await place.earn(PRICE)
        await town.forward(20)
        async with town.open() as chain, town.sender(chain, town.account(0)) as sender:
            await sender.send("open", town.spec.epochs, "Epochs", "open")  # with the two as its settlers
        await register(town, newcomer, town.account(3), SETTLER, 10 * BOND)
        directory = settle_in(tmp_path / "newcomer", newcomer, place.network)
        async with open_peer(
            directory, Config(roles=("settler",), listen=LOOPBACK), serving=True, account=town.account(3)
        ) as peer:
            await served(peer)

            async def is_open() -> bool:
                return bool(await place.ask("openedAt", await place.ask("current")))

            for _ in range(6):
                await town.forward(20)
                await soon(is_open, "an epoch is opened")
            said = await soon(lambda: root_of(place, epoch, 1), "a root by those who came later")
            named: Any = await place.ask("settlersOf", epoch)
            assert named["named"] >= epoch + 1 + 4
        expected = lines_of([], {key_of("provider").address: PRICE}, SHARES, (), {}, bytes(32))
        assert said["root"] == Tree.of(expected.lines).root
