"""Services of a host: one that dies is started again."""

# ruff: noqa: ARG001 — pytest-trio finds the clock among a test's arguments
from __future__ import annotations

import itertools

import pytest
import trio
import trio.testing

from p2p import bounds
from p2p.supervise import keep_running


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
