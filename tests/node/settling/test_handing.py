"""Receipts on their way to settlers: kept until enough have them, given up when nobody ever will."""

# ruff: noqa: ARG001 — the clock is what makes hours pass
from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from node.peer import Peer
from node.settling import handing as module
from node.settling.handing import Handing
from settle.chain import Chain
from storage import Store
from tests.verify.scenes import NOW, Scene, key_of
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey
from wire.settlement import AskSettled, Settle, Settled, SettledIn

from .deals import Deal

NETWORK = Scene().network
SETTLERS = [key_of(f"verifier {i}") for i in range(4)]


@dataclass
class Settler:
    """What a settler says; None: it cannot be reached."""

    took: list[bytes] = field(default_factory=list)
    asked: int = 0
    refuses: RemoteError | None = None
    settled: dict[bytes, int] = field(default_factory=dict)


class Wire:
    """A channel to one settler."""

    def __init__(self, settler: Settler) -> None:
        self._settler = settler
        self._said: Any = None

    async def send(self, said: Any) -> None:
        self._said = said

    async def receive(self, _: Any, **__: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if isinstance(self._said, AskSettled):
            return SettledIn(epochs=tuple(self._settler.settled.get(r) for r in self._said.receipts))
        assert isinstance(self._said, Settle)
        self._settler.asked += 1
        if self._settler.refuses is not None:
            raise self._settler.refuses
        digest = self._said.file.receipt.receipt.digest(NETWORK.domain)
        self._settler.took.append(digest)
        return Settled(receipt=digest, epoch=None)


@dataclass
class Stub:
    """A provider's peer, and the settlers that it reaches."""

    store: Store
    settlers: dict[str, Settler] = field(default_factory=lambda: {key.peer_id: Settler() for key in SETTLERS})
    key: NodeKey = field(default_factory=lambda: key_of("provider"))
    network: Any = NETWORK
    roles: tuple[str, ...] = ("provider",)

    @property
    def local(self) -> Stub:
        return self

    host = local

    def learn(self, *_: Any) -> None:
        pass

    def addresses_of(self, _: bytes) -> tuple[str, ...]:
        return ()

    @asynccontextmanager
    async def exchange(self, peer_id: str, protocol: str) -> AsyncIterator[Wire]:
        assert protocol == "settle"
        if peer_id not in self.settlers:
            raise RemoteError(ErrorCode.UNREACHABLE, "nobody is there")
        yield Wire(self.settlers[peer_id])


@asynccontextmanager
async def handing(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Handing]:
    """Runs, with four settlers of one stake on the chain."""
    made = Handing(cast(Peer, stub), cast(Chain, None))

    async def stakes() -> dict[bytes, int]:
        return {key.public: 10 for key in SETTLERS}

    monkeypatch.setattr(made._settlers, "stakes", stakes)
    monkeypatch.setattr(module, "now_ms", lambda: NOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run)
        yield made
        nursery.cancel_scope.cancel()


def deal(number: int = 0, **changes: Any) -> Deal:
    return Deal(on=NETWORK, at_ms=NOW, number=number, **({"tier": "signed", "price": 100} | changes))


async def until(probe: Callable[[], Any]) -> None:
    with trio.fail_after(10_000):
        while not probe():  # noqa: ASYNC110 — no event tells what is on disk, and the clock is a mock
            await trio.sleep(0.5)


def took(stub: Stub, digest: bytes) -> int:
    return sum(digest in settler.took for settler in stub.settlers.values())


async def test_settlers_with_more_than_a_third_have_it_before_it_leaves_the_disk(
    store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    stub, one = Stub(store), deal()
    async with handing(stub, monkeypatch) as made:
        made.add(one.file)
        await until(lambda: store.settling.handed(9))
        assert took(stub, one.receipt_digest) >= 2
        assert store.settling.waiting(9) == []


async def test_it_is_tried_again_until_enough_are_there(
    store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    stub, one = Stub(store), deal()
    away = {name: stub.settlers.pop(name) for name in list(stub.settlers)[1:]}
    async with handing(stub, monkeypatch) as made:
        made.add(one.file)
        await trio.sleep(100)
        assert took(stub, one.receipt_digest) == 1
        assert store.settling.waiting(9) == [one.receipt_digest]
        next(iter(away.values())).refuses = RemoteError(ErrorCode.OVERLOADED, "later", after_ms=500)
        stub.settlers |= away
        await until(lambda: store.settling.handed(9))
        assert took(stub, one.receipt_digest) >= 2


async def test_a_process_that_died_goes_on_with_what_was_on_disk(
    store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    stub, one = Stub(store), deal()
    settlers, stub.settlers = stub.settlers, {}
    async with handing(stub, monkeypatch) as made:
        made.add(one.file)  # and it ends before anything else happens
    assert store.settling.waiting(9) == [one.receipt_digest]
    stub.settlers = settlers
    async with handing(stub, monkeypatch):
        await until(lambda: store.settling.handed(9))


async def test_what_settlers_refuse_for_good_is_given_up(
    store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    stub = Stub(store)
    for settler in stub.settlers.values():
        settler.refuses = RemoteError(ErrorCode.REFUSED, "it does not hold", retry=False)
    async with handing(stub, monkeypatch) as made:
        made.add(deal().file)
        await until(lambda: any(settler.asked for settler in stub.settlers.values()))
        await trio.sleep(100)
        assert len(store.settling.waiting(9)) == 1  # they may not know the newest epoch yet
        await until(lambda: not store.settling.waiting(9))
        assert store.settling.handed(9) == []


async def test_one_settler_that_refuses_everything_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    stub = Stub(store)
    next(iter(stub.settlers.values())).refuses = RemoteError(ErrorCode.REFUSED, "no", retry=False)
    async with handing(stub, monkeypatch) as made:
        made.add(deal().file)
        await until(lambda: store.settling.handed(9))


async def test_who_cannot_prove_it_or_was_paid_nothing_hands_nothing_over(
    store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    stub = Stub(store)
    async with handing(stub, monkeypatch) as made:
        made.add(deal(1, price=0).file)
        made.add(deal(2, who="another").file)
        made.add(deal(3, tier="sampled").file)  # its payer's secret is part of the proof
        await trio.sleep(60)
        assert store.settling.waiting(9) == []
        stub.key = key_of("payer")
        made.add(deal(3, tier="sampled").file)
        await until(lambda: store.settling.handed(9))
        assert store.settling.handed(9) == [deal(3, tier="sampled").receipt_digest]


async def test_it_learns_where_a_receipt_was_settled(
    store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    stub, one = Stub(store), deal()
    async with handing(stub, monkeypatch) as made:
        made.add(one.file)
        await until(lambda: store.settling.handed(9))
        for settler in stub.settlers.values():
            settler.settled[one.receipt_digest] = 12
        await until(lambda: store.settling.settled_in(one.receipt_digest) == 12)
        assert store.settling.handed(9) == []


async def test_a_receipt_that_is_too_large_is_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(module, "_ROOM", 100)
    async with handing(Stub(store), monkeypatch) as made:
        made.add(deal().file)
        await trio.sleep(10)
        assert store.settling.waiting(9) == []
