"""Providers that have too much to do: they say for how long, and a payer that has nobody else comes back then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import trio

from engine.bounds import MAX_QUEUE
from node.asking import ask
from node.attempt import Answered, Question
from node.bounds import RESTS
from node.clock import now_ms
from node.errors import CommandError, Exit
from node.finding import find_model
from node.peer import Peer
from p2p import Channel, open_host
from wire.arrays import from_array
from wire.canonical import Amount
from wire.errors import ErrorCode, RemoteError
from wire.inference import Ask
from wire.keys import NodeKey

from . import made
from .running import eventually
from .strangers import declined, stranger
from .test_hidden_proof import Hider
from .town import Fort, Town


class Busy(Hider):
    """An honest provider that declines so many requests, before it reads their inputs, and asks for a pause."""

    def __init__(self, *given: Any, times: float, after_ms: int) -> None:
        super().__init__(*given)
        self.times, self.after_ms = times, after_ms
        self.asked_at: list[float] = []

    async def serve(self, channel: Channel) -> None:
        question = await channel.receive(Ask, timeout=20)
        self.asked_at.append(trio.current_time())
        if len(self.asked_at) <= self.times:
            raise RemoteError(ErrorCode.OVERLOADED, "too much to do", after_ms=self.after_ms)
        self.inputs = await channel.receive_tensors(question.inputs, timeout=20)
        y = np.log(np.frombuffer(self.inputs[0].data, np.float32)).reshape(self.inputs[0].header.shape)
        self.outputs = [from_array("y", y)]
        self.receipt = self.sign(question)
        await self.answer(channel)


@asynccontextmanager
async def busy(town: Town, client: Peer, times: float, after_ms: int) -> AsyncIterator[Busy]:
    """It runs, and the client knows its offer as the cheapest."""
    key = NodeKey.generate()
    async with open_host(key, town.network, listen=["/ip4/127.0.0.1/tcp/0"], bootstraps=[town.a.address]) as host:
        one = Busy(town, key, host, 0.0, None, times=times, after_ms=after_ms)
        host.handle("infer", one.serve)
        client.board.take_offer(one.offer(host.addresses), now_ms())
        yield one


async def asked(client: Peer, one: Busy, events: list[dict[str, Any]], price: int, seconds: float) -> Answered:
    """One question to the busy provider first. At price 0 it is alone; at 1 the honest provider `a` comes after it."""
    signed, specs = await find_model(client, one.town.cids["logs"], events.append)
    question = Question(signed, specs, [made.row()], "signed", Amount(price), seconds, prefer=one.key.public)
    return await ask(client, question, events.append)


def kinds(events: list[dict[str, Any]], one: Busy) -> list[str]:
    """What became of this provider; offers of others that are gone may still be known."""
    return [e["event"] for e in events if e.get("peer") == one.key.peer_id]


async def test_the_only_provider_is_asked_again_when_it_said(town: Town, client: Peer) -> None:
    events: list[dict[str, Any]] = []
    async with busy(town, client, times=2, after_ms=400) as one:
        answer = await asked(client, one, events, price=0, seconds=30)
    assert answer.provider == one.key.public
    assert kinds(events, one) == ["failed", "waiting", "failed", "waiting"]
    pauses = [b - a for a, b in zip(one.asked_at, one.asked_at[1:], strict=False)]
    assert len(pauses) == 2
    assert min(pauses) >= 0.4


async def test_where_there_is_another_nobody_waits(town: Town, client: Peer) -> None:
    events: list[dict[str, Any]] = []
    async with busy(town, client, times=1, after_ms=20_000) as one:
        answer = await asked(client, one, events, price=1, seconds=15)
    assert answer.provider == town.a.key.public
    assert kinds(events, one) == ["failed"]


@pytest.mark.parametrize("after_ms", [0, 60_000])
async def test_a_pause_that_is_not_told_or_too_long_is_not_made(town: Town, client: Peer, after_ms: int) -> None:
    events: list[dict[str, Any]] = []
    async with busy(town, client, times=1, after_ms=after_ms) as one:
        with trio.fail_after(25), pytest.raises(CommandError, match="too much to do") as failure:
            await asked(client, one, events, price=0, seconds=30)
    assert failure.value.exit_code is Exit.REMOTE
    assert kinds(events, one) == ["failed"]


async def test_one_that_always_wants_but_a_moment_is_not_asked_without_end(town: Town, client: Peer) -> None:
    async with busy(town, client, times=float("inf"), after_ms=1) as one:
        with pytest.raises(CommandError) as failure:
            await asked(client, one, [], price=0, seconds=2)
    assert 2 <= len(one.asked_at) <= 2 / RESTS[0] + 1
    # told once, however often it was asked: what it said last, or that the time was over while it was asked
    assert failure.value.message.count(one.key.peer_id) == 1


async def test_a_full_queue_declines_before_it_reads_the_inputs_and_says_for_how_long(fort: Fort) -> None:
    forever = [from_array("turns", np.array(2**50)), from_array("size", np.array([1]))]
    headers = tuple(t.header for t in forever)
    full = MAX_QUEUE + 1  # one is at work
    async with stranger(fort) as one, stranger(fort) as other:
        streams = []
        for i in range(full):
            who = one if i % 2 else other
            channel = Channel(await who.stream("infer"), who.target)
            await channel.send(
                Ask(request=who.request(tensors=forever, model=fort.model("slow")), inputs=headers), forever
            )
            streams.append(channel)

        async def is_full() -> bool:
            return bool((await _slow(fort))["queue"] == full - 1)

        await eventually(is_full, "a full queue")
        late = Channel(await one.stream("infer"), one.target)
        await late.send(Ask(request=one.request(tensors=forever, model=fort.model("slow")), inputs=headers))
        error = await declined(late)  # the inputs were never sent
        assert error.code is ErrorCode.OVERLOADED
        assert "wait for this model already" in error.message
        assert error.after_ms > 0
        for channel in streams:
            await channel.reset()


async def _slow(fort: Fort) -> dict[str, Any]:
    return next(m for m in (await fort.node.call("ps"))["models"] if m["cid"] == fort.cids["slow"])
