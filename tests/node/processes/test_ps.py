"""`hallmark ps`: what a provider executes, as its operator sees it while requests come."""

from __future__ import annotations

import trio

from .running import Event, eventually
from .strangers import stranger
from .test_given_up import FOREVER, asked, turns
from .town import Fort

TOGETHER = 20


async def test_the_figures_are_those_of_the_requests_that_were_answered(fort: Fort) -> None:
    async def logs() -> Event:
        return next(m for m in (await fort.node.call("ps"))["models"] if m["cid"] == fort.cids["logs"])

    before = await logs()
    async with stranger(fort) as one:
        async with trio.open_nursery() as nursery:
            for _ in range(TOGETHER):
                nursery.start_soon(one.honest_question)
        after = await logs()
    answered, runs = after["requests"] - before["requests"], after["runs"] - before["runs"]
    assert answered == TOGETHER
    assert 1 <= runs <= TOGETHER
    assert (after["state"], after["device"], after["queue"], after["joins"]) == ("loaded", "cpu", 0, True)
    assert after["memory"] > 2**24
    assert after["requests_per_s"] > 0
    assert after["requests_per_run"] >= 1


async def test_the_table_names_each_model_with_its_queue(fort: Fort) -> None:
    async with stranger(fort) as one:
        quick = turns(1)  # once that is answered, nothing of an earlier test is at work any more
        await one.ask(one.request(tensors=quick, model=fort.model("slow")), quick)
        streams = [await asked(one, FOREVER) for _ in range(4)]

        async def three_wait() -> bool:
            rows = (await fort.node.call("ps"))["models"]
            return bool(next(m["queue"] for m in rows if m["cid"] == fort.cids["slow"]) == 3)

        await eventually(three_wait, "one at work, three in the queue")
        shown = await trio.to_thread.run_sync(fort.node.run, "ps")
        for channel in streams:
            await channel.reset()
    assert shown.code == 0, shown.said
    head, *rows = (line.split() for line in shown.out.splitlines() if line.strip())
    assert head[:5] == ["model", "state", "on", "memory", "queue"]
    slow = next(row for row in rows if row[0] == "slow@1.0.0")
    assert slow[1:3] == ["loaded", "cpu"]
    assert "3" in slow
    assert max(map(len, shown.out.splitlines())) <= 80
