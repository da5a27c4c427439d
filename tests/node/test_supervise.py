"""A crashed service starts again, later each time; and signals wake whoever waits."""

# ruff: noqa: ARG001 — the clock is what makes waits pass
from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from node.bounds import ROLE_BACKOFF
from node.signal import Signal
from node.supervise import supervise

FIRST, MOST = ROLE_BACKOFF


class Service:
    """Crashes after running for each of `lives` seconds in turn, then returns."""

    def __init__(self, *lives: float) -> None:
        self._lives = list(lives)
        self.starts: list[float] = []

    async def __call__(self) -> None:
        self.starts.append(trio.current_time())
        if not self._lives:
            return
        await trio.sleep(self._lives.pop(0))
        raise RuntimeError("it crashed")

    @property
    def gaps(self) -> list[float]:
        return [round(b - a, 6) for a, b in zip(self.starts, self.starts[1:], strict=False)]


async def test_a_service_that_returns_is_not_started_again(autojump_clock: MockClock) -> None:
    service = Service()
    await supervise("it", service)
    assert len(service.starts) == 1
    assert autojump_clock.current_time() - service.starts[0] == 0


async def test_each_wait_is_twice_the_last_up_to_a_bound(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(*[0.0] * 10)
    await supervise("the baker", service)
    doubling = [FIRST * 2**n for n in range(10)]
    assert service.gaps == [min(MOST, wait) for wait in doubling]
    assert caplog.text.count("the baker stopped") == 10
    assert "RuntimeError: it crashed" in caplog.text


async def test_a_service_that_ran_well_starts_over_with_the_shortest_wait(autojump_clock: MockClock) -> None:
    service = Service(0, 0, 0, 61, 0)
    await supervise("it", service)
    assert service.gaps == [FIRST, FIRST * 2, FIRST * 4, 61 + FIRST, FIRST * 2]


async def test_groups_of_errors_are_crashes_too(autojump_clock: MockClock) -> None:
    runs = 0

    async def service() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Service(0))

    await supervise("it", service)
    assert runs == 3


async def test_the_others_go_on_and_cancelling_ends_all(autojump_clock: MockClock) -> None:
    beats = 0

    async def heart() -> None:
        nonlocal beats
        while True:
            beats += 1
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, "heart", heart)
        nursery.start_soon(supervise, "broken", Service(*[0.0] * 50))
        await trio.sleep(100.5)
        nursery.cancel_scope.cancel()
    assert beats == 101


async def test_what_is_no_failure_is_not_swallowed() -> None:
    async def service() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await supervise("it", service)


async def test_a_signal_wakes_everyone_who_waits() -> None:
    signal, woken = Signal(), 0

    async def waiter() -> None:
        nonlocal woken
        await signal.wait(1e6)
        woken += 1

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(waiter)
        await wait_all_tasks_blocked()
        assert woken == 0
        signal.notify()
    assert woken == 3


async def test_a_signal_is_waited_for_no_longer_than_allowed(autojump_clock: MockClock) -> None:
    before = autojump_clock.current_time()
    await Signal().wait(7)
    assert autojump_clock.current_time() - before == pytest.approx(7)


async def test_what_came_while_one_looked_elsewhere_is_not_missed(autojump_clock: MockClock) -> None:
    signal = Signal()
    seen = signal.count
    signal.notify()
    before = autojump_clock.current_time()
    await signal.wait(7, since=seen)
    assert autojump_clock.current_time() == before
    await signal.wait(7, since=signal.count)
    assert autojump_clock.current_time() - before == pytest.approx(7)
