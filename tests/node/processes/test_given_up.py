"""Askers who leave: what was done for them ends at once, and who asks for the same in their place is served."""

from __future__ import annotations

import numpy as np
import pytest
import trio

from p2p import Channel
from wire.arrays import from_array
from wire.committee import Committed, Convene
from wire.inference import Ask
from wire.keys import NodeKey
from wire.tensors import Tensor

from .running import Event, eventually
from .strangers import SECONDS, Stranger, stranger
from .town import Fort

FOREVER, A_WHILE = 2**50, 2**19  # turns of the slow model's loop: hours, and most of a second
ASKERS = 50


def turns(count: int) -> list[Tensor]:
    return [from_array("turns", np.array(count)), from_array("size", np.array([1]))]


async def slow(fort: Fort) -> Event:
    """The slow model's row of `ps`."""
    return next(m for m in (await fort.node.call("ps"))["models"] if m["cid"] == fort.cids["slow"])


async def at_work(fort: Fort, before: int) -> bool:
    """Whether a run is under way."""
    await trio.lowlevel.checkpoint()
    return fort.node.work_done() > before + 10


async def asked(one: Stranger, count: int) -> Channel:
    """A stream with a request of the slow model on it, and nobody who reads."""
    inputs = turns(count)
    request = one.request(tensors=inputs, model=one.fort.model("slow"))
    channel = Channel(await one.stream("infer"), one.target)
    await channel.send(Ask(request=request, inputs=tuple(t.header for t in inputs)), inputs)
    return channel


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_requests_whose_askers_left_wait_no_longer(fort: Fort, how: str) -> None:
    async with stranger(fort) as one:
        streams = [await asked(one, FOREVER) for _ in range(ASKERS)]

        async def waiting(count: int) -> bool:
            return bool((await slow(fort))["queue"] == count)

        await eventually(lambda: waiting(ASKERS - 1), "all but the one at work in the queue")
        for channel in streams:
            await (channel.reset() if how == "reset" else channel.close())
        # Their own deadlines are half a minute away. The run at work has its least time, and ends with its worker.
        await eventually(lambda: waiting(0), "an empty queue", 5)
        answer, _ = await one.ask(one.request(tensors=turns(1), model=fort.model("slow")), turns(1))
        assert answer.receipt.receipt.provider == fort.node.key.address


async def test_an_asker_whose_connection_ends_has_left(fort: Fort) -> None:
    async with stranger(fort) as one:
        await asked(one, FOREVER)
        await asked(one, FOREVER)
        await eventually(lambda: _queue(fort, 1), "one at work, one in the queue")
    await eventually(lambda: _queue(fort, 0), "an empty queue", 5)


async def _queue(fort: Fort, count: int) -> bool:
    return bool((await slow(fort))["queue"] == count)


async def test_a_convener_that_leaves_keeps_nobody_else_from_convening(fort: Fort) -> None:
    """Else a provider could see to it that its payer never hears the committee: by asking first, and leaving."""
    inputs = turns(A_WHILE)
    async with stranger(fort) as one:
        provider = NodeKey.generate().address  # any but the fort, which could not judge itself
        request = one.request("quorum", inputs, model=fort.model("slow"), provider=provider)
        convene = Convene(request=request, inputs=tuple(t.header for t in inputs))
        first = Channel(await one.stream("committee"), one.target)
        before = fort.node.work_done()
        await first.send(convene, inputs)
        await eventually(lambda: at_work(fort, before), "the verifier at work")
        second = Channel(await one.stream("committee"), one.target)
        await second.send(convene, inputs)
        await first.reset()
        committed = await second.receive(Committed, timeout=SECONDS)
        assert committed.reason == ""  # it executed, and did not abstain
        await second.reset()
        third = Channel(await one.stream("committee"), one.target)
        await third.send(convene, inputs)
        assert await third.receive(Committed, timeout=SECONDS) == committed  # once it has spoken, it says the same
        await third.reset()
