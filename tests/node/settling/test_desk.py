"""What a settler takes, what it refuses, and that what it took is on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import trio

from node.peer import Peer
from node.settling import desk as module
from node.settling.clock import ChainClock
from node.settling.desk import Desk
from node.zk.proofs import CheckedProofs
from settle.chain import Block
from storage import Store
from tests.verify.scenes import NOW, Scene, bent, key_of
from verify.settling import payable, slim
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey
from wire.network import Network
from wire.receiptfile import ReceiptFile

from .deals import Deal

NETWORK = Scene().network
GENESIS, SECONDS = NOW // 1000 - 50, 100


@dataclass
class Registry:
    """The chain, as far as a desk asks it: who is registered."""

    known: set[bytes] = field(default_factory=set)
    asked: int = 0
    domain: Any = NETWORK.domain

    async def call(self, contract: bytes, interface: str, function: str, node: bytes) -> bytes:
        assert (contract, interface, function) == (NETWORK.contract, "Registry", "ownerOf")
        self.asked += 1
        return b"\x01" * 20 if node in self.known else bytes(20)


@dataclass
class Stub:
    """What a desk needs of its peer."""

    local: Any
    chain: Registry = field(default_factory=Registry)
    network: Network = NETWORK
    checked: CheckedProofs = field(default_factory=CheckedProofs)


@dataclass
class Held:
    store: Store


@asynccontextmanager
async def a_desk(store: Store, registry: Registry | None = None, at_s: int = NOW // 1000) -> AsyncIterator[Desk]:
    clock = ChainClock(lambda: 0.0, lambda: 0.0)
    clock.saw(Block(1, bytes(32), at_s))
    peer = Stub(Held(store), registry or Registry({key_of("provider").address}))
    desk = Desk(cast(Peer, peer), clock, GENESIS, SECONDS)
    desk.load()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run)
        yield desk
        nursery.cancel_scope.cancel()


def deal(number: int = 0, **changes: Any) -> Deal:
    given = {"tier": "quorum", "verifiers": 4, "price": 100} | changes
    return Deal(on=NETWORK, at_ms=NOW, number=number, **given)


def file(number: int = 0, **changes: Any) -> ReceiptFile:
    return slim(deal(number, **changes).file)


async def refused(desk: Desk, given: ReceiptFile) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        await desk.take(given, "giver")
    return caught.value


async def test_what_was_acknowledged_is_there_after_a_restart(store: Store) -> None:
    async with a_desk(store) as desk:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(desk.take, file(number, tier="signed"), "giver")
        assert desk.count == 20
    async with a_desk(store) as desk:
        assert desk.count == 20
        claims = desk.claims(0, ())
        assert len(claims) == 20
        assert all(desk.has(version) and desk.file(version) for version in claims)


async def test_the_same_receipt_again_changes_nothing_and_more_signers_replace_fewer(store: Store) -> None:
    whole = deal()
    few = bent(whole.file, certificate=whole.certificate([0, 1, 2]))
    async with a_desk(store) as desk:
        for given in (few, whole.file, few, whole.file):
            assert (await desk.take(slim(given), "giver")).receipt == whole.receipt_digest
        assert desk.count == 1
        (claim,) = desk.claims(0, ()).values()
        assert len(claim.verifiers) == 4
        assert not desk.has(payable(slim(few), NETWORK).version)


async def test_after_a_minute_only_settlers_bring_other_certificates_of_a_receipt(store: Store) -> None:
    """Who has all votes can make very many, each of which counts before the last one: fed to settlers one by one, they
    would never have the same."""
    whole = deal()
    few = bent(whole.file, certificate=whole.certificate([0, 1, 2]))
    async with a_desk(store) as desk:
        await desk.take(slim(few), "giver")
    async with a_desk(store, at_s=NOW // 1000 + 61) as desk:
        assert (await desk.take(slim(whole.file), "giver")).receipt == whole.receipt_digest
        assert desk.has(payable(slim(few), NETWORK).version)
        await desk.take(slim(whole.file), "a settler", by_settler=True)
        assert desk.has(payable(slim(whole.file), NETWORK).version)


async def test_what_does_not_hold_is_refused_for_good(store: Store) -> None:
    async with a_desk(store) as desk:
        bare = file()
        wrong = {
            "holds no certificate": bent(bare, certificate=bent(bare.certificate, quorum=None)),
            "costs nothing": file(price=0, tier="signed"),
            "of another network": bent(bare, contract=b"\x12" * 20),
        }
        for given in wrong.values():
            error = await refused(desk, given)
            assert (error.code, error.retry) == (ErrorCode.REFUSED, False)
        assert (await desk.take(bare, "giver")).epoch is None


async def test_who_pays_itself_is_taken_like_everybody(store: Store) -> None:
    async with a_desk(store) as desk:
        await desk.take(file(tier="signed", asker="provider"), "giver")
        assert desk.count == 1


async def test_too_old_is_refused_and_from_the_future_is_asked_again(store: Store) -> None:
    async with a_desk(store, at_s=NOW // 1000 + 20 * SECONDS) as late:
        assert (await refused(late, file())).message == "that receipt is too old to be settled"
    async with a_desk(store, at_s=NOW // 1000 - 660) as early:
        error = await refused(early, file())
        assert (error.message, error.retry) == ("that receipt is from the future", True)


async def test_what_was_settled_is_told_and_not_taken_again(store: Store) -> None:
    store.settling.settle({deal().receipt_digest: 3})
    async with a_desk(store) as desk:
        assert (await desk.take(file(), "giver")).epoch == 3
        assert desk.count == 0


async def test_strangers_share_a_little_room_and_nobody_has_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD_OF_STRANGERS", 2)
    monkeypatch.setattr(module, "MAX_HELD_OF_ONE", 3)
    registry = Registry({key_of("known").address})
    async with a_desk(store, registry) as desk:
        for i in range(2):
            await desk.take(file(i, tier="signed", who=f"stranger {i}"), "giver")
        assert (await refused(desk, file(9, tier="signed", who="stranger 9"))).code is ErrorCode.OVERLOADED
        for i in range(3):
            await desk.take(file(i, tier="signed", who="known"), "giver")
        assert (await refused(desk, file(9, tier="signed", who="known"))).code is ErrorCode.OVERLOADED
        asked = registry.asked
        await refused(desk, file(8, tier="signed", who="stranger 9"))
        assert registry.asked == asked  # it asked a moment ago
        await desk.forget([deal(0, tier="signed", who="stranger 0").receipt_digest])
        await desk.take(file(9, tier="signed", who="stranger 9"), "giver")


async def test_one_peer_hands_over_no_more_than_it_may(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_BURST", 2)
    monkeypatch.setattr(module, "SETTLE_RATE", 0.0)
    async with a_desk(store) as desk:
        for i in range(2):
            await desk.take(file(i, tier="signed"), "giver")
        assert (await refused(desk, file(3, tier="signed"))).code is ErrorCode.OVERLOADED
        await desk.take(file(3, tier="signed"), "another")
        await desk.take(file(4, tier="signed"), "giver", asked=True)


async def test_which_epoch_pays_a_receipt_and_which_came_in_time(store: Store) -> None:
    async with a_desk(store) as desk:
        await desk.take(file(tier="signed"), "giver")
        digest = deal(tier="signed").receipt_digest
        assert [len(desk.claims(epoch, ())) for epoch in (0, 8, 9)] == [1, 1, 0]
        assert desk.claims(0, {digest}) == {}
        claims = desk.claims(0, ())
        assert desk.in_time(NOW // 1000 - 1, claims) == {}
        assert desk.in_time(NOW // 1000, claims) == claims
        await desk.forget_old(8)
        assert desk.count == 1
        await desk.forget_old(9)
        assert desk.count == 0


def test_the_keys_are_the_scenes() -> None:
    assert isinstance(deal().provider, NodeKey)
