"""A provider whose link is lost in the middle of an answer: it is asked anew, and never twice for one request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import trio

from node.asking import ask
from node.attempt import Answered, Question
from node.bounds import LOST_RESTS
from node.clock import now_ms
from node.errors import CommandError, Exit
from node.finding import find_model
from node.peer import Peer
from p2p import Channel, open_host
from p2p.addresses import parse_peer
from wire.arrays import from_array
from wire.canonical import Amount
from wire.inference import Ask
from wire.keys import NodeKey

from . import made
from .test_hidden_proof import Hider
from .town import Town


class Cut(Hider):
    """An honest provider whose link to the client is cut at work, at the questions of these numbers."""

    def __init__(self, *given: Any, cut: range, client: str) -> None:
        super().__init__(*given)
        self.cut, self.client = cut, client
        self.nonces: list[bytes] = []

    async def serve(self, channel: Channel) -> None:
        question = await channel.receive(Ask, timeout=20)
        self.nonces.append(question.request.request.nonce)
        self.inputs = await channel.receive_tensors(question.inputs, timeout=20)
        if len(self.nonces) - 1 in self.cut:
            await self.host._swarm.close_peer(parse_peer(self.client))
            return
        y = np.log(np.frombuffer(self.inputs[0].data, np.float32)).reshape(self.inputs[0].header.shape)
        self.outputs = [from_array("y", y)]
        self.receipt = self.sign(question)
        await self.answer(channel)


@asynccontextmanager
async def cut(town: Town, client: Peer, when: range) -> AsyncIterator[Cut]:
    """It runs, and the client knows its offer as the cheapest."""
    key = NodeKey.generate()
    async with open_host(key, town.network, listen=["/ip4/127.0.0.1/tcp/0"], bootstraps=[town.a.address]) as host:
        one = Cut(town, key, host, 0.0, None, cut=when, client=client.host.peer_id)
        host.handle("infer", one.serve)
        client.board.take_offer(one.offer(host.addresses), now_ms())
        yield one


async def asked(client: Peer, one: Cut, events: list[dict[str, Any]], price: int, seconds: float = 30.0) -> Answered:
    """One question to this provider first. At price 0 it is alone; at 1 the honest provider `a` comes after it."""
    signed, specs = await find_model(client, one.town.cids["logs"], events.append)
    question = Question(signed, specs, [made.row()], "signed", Amount(price), seconds, prefer=one.key.public)
    return await ask(client, question, events.append)


def said(events: list[dict[str, Any]], one: Cut) -> list[str]:
    """What became of this provider."""
    return [e["event"] for e in events if e.get("peer") == one.key.peer_id]


async def test_the_only_provider_is_asked_anew_when_its_link_was_lost(town: Town, client: Peer) -> None:
    """Over a stream that was kept from an answer before, too."""
    events: list[dict[str, Any]] = []
    async with cut(town, client, range(1, 3)) as one:
        await asked(client, one, events, price=0)
        answer = await asked(client, one, events, price=0)
    assert answer.provider == one.key.public
    assert len(one.nonces) == len(set(one.nonces)) == 4  # no request came twice
    assert said(events, one) == ["failed", "waiting", "failed", "waiting"]
    waiting = next(e["text"] for e in events if e["event"] == "waiting" and e["peer"] == one.key.peer_id)
    assert "was lost with its link: it is asked again" in waiting


async def test_where_there_is_another_it_is_asked_at_once(town: Town, client: Peer) -> None:
    events: list[dict[str, Any]] = []
    async with cut(town, client, range(9)) as one:
        answer = await asked(client, one, events, price=1)
    assert answer.provider == town.a.key.public
    assert said(events, one) == ["failed"]
    assert len(one.nonces) == 1


async def test_one_that_is_lost_every_time_is_not_asked_without_end(
    town: Town, client: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.tried.LOST_RESTS", (0.01,) * len(LOST_RESTS))
    async with cut(town, client, range(99)) as one:
        with trio.fail_after(25), pytest.raises(CommandError, match=one.key.peer_id) as failure:
            await asked(client, one, [], price=0)
    assert failure.value.exit_code is Exit.REMOTE
    assert len(one.nonces) == 1 + len(LOST_RESTS)


async def test_it_is_not_waited_for_beyond_the_deadline(town: Town, client: Peer) -> None:
    async with cut(town, client, range(99)) as one:
        started = trio.current_time()
        with pytest.raises(CommandError):
            await asked(client, one, [], price=0, seconds=1.5)
    assert trio.current_time() - started < 10  # of a busy machine
    assert len(one.nonces) == 2
