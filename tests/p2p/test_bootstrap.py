"""Bootstrapping: all are tried, again while alone, and the report says why."""

# ruff: noqa: ARG001 — pytest-trio finds the clock among a test's arguments
from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import trio
import trio.testing

from p2p import bounds
from p2p.bootstrap import Bootstrap
from p2p.supervise import keep_running
from wire.errors import ErrorCode, RemoteError


class World:
    """Peers that are there, or not."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.tries: list[tuple[float, str]] = []
        self.count = 0

    async def connect(self, addresses: Sequence[str]) -> str:
        await trio.lowlevel.checkpoint()
        self.tries.append((trio.current_time(), addresses[0]))
        if addresses[0] not in self.there:
            raise RemoteError(ErrorCode.UNREACHABLE, f"{addresses[0]}: connection refused")
        self.count += 1
        return "peer"


async def test_alone_it_tries_again_later_each_time(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    boot = Bootstrap(["b1", "b2"], lambda: [("p", ["p1", "p2"])], world.connect, lambda: world.count)
    began = trio.current_time()
    nursery.start_soon(boot.run)
    await trio.sleep(200)
    times = sorted({round(at - began) for at, _ in world.tries})
    assert times == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert sorted((a.address, a.source, a.failure) for a in boot.report()) == [
        ("b1", "bootstrap", "b1: connection refused"),
        ("b2", "bootstrap", "b2: connection refused"),
        ("p1", "peer book", "p1: connection refused"),
    ]
    nursery.cancel_scope.cancel()


async def test_with_a_peer_it_rests_until_the_last_is_lost(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    world.there = {"b2"}
    boot = Bootstrap(["b1", "b2"], list, world.connect, lambda: world.count)
    nursery.start_soon(boot.run)
    await trio.sleep(1000)
    assert len(world.tries) == 2
    assert {a.address: a.failure is None for a in boot.report()} == {"b1": False, "b2": True}
    world.count = 0
    boot.lost_a_peer()
    await trio.sleep(10)
    assert len(world.tries) == 4
    nursery.cancel_scope.cancel()


async def test_a_service_that_dies_is_started_again(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    starts: list[float] = []

    async def service() -> None:
        starts.append(trio.current_time())
        await trio.sleep(100 if len(starts) == 4 else 0)
        raise OSError("the cause")

    nursery.start_soon(keep_running, "the service", service)
    await trio.sleep(5)
    nursery.start_soon(trio.sleep, 0)
    pauses = [round(b - a, 1) for a, b in itertools.pairwise(starts)]
    assert pauses == [0.5, 1.0, 2.0]
    await trio.sleep(100)
    assert round(starts[4] - starts[3], 1) == 100 + bounds.RESTART  # it had lived: the pauses begin anew
    assert "the cause" in caplog.text
    nursery.cancel_scope.cancel()
