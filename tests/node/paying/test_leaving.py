"""A payer that takes its answer and leaves before the proof of it has come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

from node.roles import provider as module
from node.roles.provider import Provider
from storage import Store
from tests.verify.scenes import Scene as Asked
from wire.canonical import Amount
from wire.inference import Answer
from wire.offer import Terms

from .test_earning import PRICE, Scene

ASKED = Asked()
TERMS = Terms(tier="quorum", price=Amount(PRICE), added_us=0, added_bytes=0)


@pytest.fixture
async def scene(store: Store) -> AsyncIterator[Scene]:
    async with trio.open_nursery() as nursery:
        yield Scene(store, nursery)
        nursery.cancel_scope.cancel()


class Evidence:
    """A committee that takes until `left` and then has, or has not, certified the answer."""

    def __init__(self, left: trio.Event, certified: bool) -> None:
        self.left, self.certified = left, certified

    async def execute(self, _: Any) -> Any:
        return SimpleNamespace(outputs=ASKED.outputs, tokens_out=0)

    def answer(self, *_: Any) -> None:
        pass

    async def proof(self) -> Any:
        await self.left.wait()
        await trio.lowlevel.checkpoint()  # where a cancellation would end it
        certificate = SimpleNamespace(quorum=object() if self.certified else None)
        return SimpleNamespace(certificate=certificate, reason="", ballots=())


@pytest.mark.parametrize("certified", [True, False])
async def test_who_leaves_with_its_answer_is_charged_once_it_is_certified(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, certified: bool
) -> None:
    """Else it has as many answers as it likes, each for nothing; and their certificates, from the committee itself."""
    left = trio.Event()

    @asynccontextmanager
    async def proving(_: Any) -> AsyncIterator[Evidence]:
        yield Evidence(left, certified)

    monkeypatch.setattr(module, "proving", proving)
    monkeypatch.setattr(module, "send_proof", lambda channel, _: channel.send(ASKED.receipt))
    monkeypatch.setattr(Provider, "_receipt", lambda *_: ASKED.receipt)
    peer = SimpleNamespace(started_ms=0, tally=SimpleNamespace(called=lambda _: None), handing=None)
    provider = Provider(cast(Any, peer))
    ready = SimpleNamespace(manifest=SimpleNamespace(interface="infer"))
    job = SimpleNamespace(request=ASKED.request, ready=ready, inputs=())
    peer.ready = SimpleNamespace(execute=lambda: None)

    async def take_and_leave() -> None:
        await scene.far.receive(Answer, timeout=5)
        await scene.far.receive_tensors([t.header for t in ASKED.outputs], timeout=5)
        await scene.far.reset()
        left.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_and_leave)
        with scene.near.while_wanted():
            async with scene.selling(PRICE, TERMS) as selling:
                await provider._answer(scene.near, cast(Any, job), 1, TERMS, selling)
    assert scene.charged == (PRICE if certified else 0)
