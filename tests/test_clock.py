"""The clock of the tests: hours cost nothing, and a thread's work is over before they pass."""

# ruff: noqa: ARG001 — the clock is what makes hours pass
from __future__ import annotations

import threading
import time

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked


async def test_hours_pass_at_once(autojump_clock: MockClock) -> None:
    began = time.monotonic()
    await trio.sleep(36_000)
    assert time.monotonic() - began < 60


async def test_no_time_passes_while_a_thread_is_at_work(autojump_clock: MockClock) -> None:
    done = []

    async def work() -> None:
        await trio.to_thread.run_sync(time.sleep, 0.02)
        done.append(trio.current_time())

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(work)
        await trio.sleep(100)
        assert done == [began] * 3


async def test_a_thread_that_was_abandoned_holds_nothing_up(autojump_clock: MockClock) -> None:
    forever = threading.Event()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: trio.to_thread.run_sync(forever.wait, abandon_on_cancel=True))
            await wait_all_tasks_blocked()
            scope.cancel()
    with pytest.raises(trio.TooSlowError), trio.fail_after(1000):
        await trio.sleep_forever()
    forever.set()
