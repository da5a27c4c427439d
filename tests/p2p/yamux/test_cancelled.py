"""The muxer cancelled at every await, and for a long time with resets and cancellations."""

from __future__ import annotations

import gc
import os
import random
from contextlib import suppress
from typing import Any

import psutil
import pytest
import trio
import trio.testing
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamEOF

from p2p import bounds
from p2p.yamux.windows import FIRST_WINDOW

from ..muxers import MEGABYTE, echo, exactly, muxed, opened, over_tcp, serve, there_and_back

SOAK_SECONDS = float(os.environ.get("HALLMARK_SOAK_SECONDS", "2"))


async def _uses(muxer: Any) -> None:
    """Every call that a user makes, so that a cancellation finds each of its awaits."""
    stream = await muxer.open_stream()
    await stream.write(b"q" * 3000)
    await exactly(stream, 3000)
    await stream.write(bytes(FIRST_WINDOW + 1))
    await exactly(stream, FIRST_WINDOW + 1)
    await stream.close()
    await stream.reset()


@pytest.mark.parametrize("tcp", [True, False])
async def test_a_cancellation_at_any_await_leaves_the_connection_usable(tcp: bool, nursery: trio.Nursery) -> None:
    async with muxed(await over_tcp() if tcp else None) as (near, far):
        nursery.start_soon(serve, far)
        finished = 0
        for step in range(150):
            async with trio.open_nursery() as cut:

                async def use() -> None:
                    nonlocal finished
                    await _uses(near)
                    finished += 1

                cut.start_soon(use)
                for _ in range(step):
                    await trio.lowlevel.checkpoint()
                cut.cancel_scope.cancel()
            if step % 10 == 0:
                await there_and_back(near)
        await there_and_back(near, MEGABYTE)
        assert near.is_established
        assert finished < 150
        for flow in list(near._machine.flows.values()):  # what a cancelled user leaves behind it must reset
            near.cut(flow)
        with trio.fail_after(5):
            while near.streams or far.streams:  # noqa: ASYNC110 — until the resets have crossed
                await trio.sleep(0.01)


async def test_a_cancelled_read_loses_nothing() -> None:
    async with muxed() as (near, far):
        one, other = await opened(near, far)
        heard = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.write, MEGABYTE)
            step = 0
            while len(heard) < len(MEGABYTE):
                step += 1
                with trio.CancelScope() as scope:
                    if step % 3 == 0:
                        scope.cancel()
                    heard += await other.read(9999)
        assert heard == MEGABYTE


# For long.


async def test_a_soak_with_resets_and_cancellations_leaks_nothing() -> None:
    """Two seconds; HALLMARK_SOAK_SECONDS for longer."""
    chance = random.Random(7)
    counts = {"echoed": 0, "reset": 0, "cancelled": 0}
    process = psutil.Process()

    async def user(muxer: Any, until: float) -> None:
        while trio.current_time() < until:
            data = chance.randbytes(chance.choice((1, 700, 40_000, 300_000)))
            stream = await muxer.open_stream()
            with trio.move_on_after(chance.choice((0.0005, 0.003, 5))) as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stream.write, data)
                    assert await exactly(stream, len(data)) == data
                counts["echoed"] += 1
            if scope.cancelled_caught:
                counts["cancelled"] += 1
            if scope.cancelled_caught or chance.random() < 0.3:
                counts["reset"] += 1
                await stream.reset()
            else:
                await stream.close()
                with pytest.raises(MuxedStreamEOF), trio.fail_after(5):
                    await stream.read(1)

    async def serve_ending(muxer: Any) -> None:
        async def one(stream: Any) -> None:
            await echo(stream)
            await stream.close()

        async with trio.open_nursery() as nursery:
            with suppress(MuxedConnUnavailable):
                while True:
                    nursery.start_soon(one, await muxer.accept_stream())

    async with muxed(await over_tcp()) as (near, far), trio.open_nursery() as nursery:
        for muxer in (near, far):
            nursery.start_soon(serve_ending, muxer)
        await there_and_back(near, MEGABYTE)
        until = trio.current_time() + SOAK_SECONDS / 2
        for half in range(2):
            async with trio.open_nursery() as users:
                for muxer in (near, far):
                    for _ in range(4):
                        users.start_soon(user, muxer, until)
            until += SOAK_SECONDS / 2
            with trio.fail_after(5):
                while near.streams or far.streams:  # noqa: ASYNC110 — until the last ends have crossed
                    await trio.sleep(0.01)
            await trio.testing.wait_all_tasks_blocked(0.05)
            gc.collect()
            now = (process.num_fds(), trio.lowlevel.current_statistics().tasks_living, process.memory_info().rss)
            if half == 0:
                before = now
        assert now[:2] == before[:2]
        assert now[2] < before[2] + 16 * 2**20
        for muxer in (near, far):
            machine = muxer._machine
            assert (machine._inbound, machine._unacknowledged, machine._budget.left) == (0, 0, bounds.WINDOW_GROWTH)
        await there_and_back(near, MEGABYTE)
        assert min(counts.values()) > 10, counts
        nursery.cancel_scope.cancel()
