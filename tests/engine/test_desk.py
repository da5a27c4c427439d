"""A desk with a worker that only pretends, on a clock that jumps: queue, deadlines, deaths, cancellation."""

# ruff: noqa: ARG001 - pytest-trio finds a clock only among a test's own arguments, used there or not

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.bounds import LEAST_RUN, START_RETRY
from engine.desk import Desk
from engine.errors import (
    EngineBusy,
    EngineError,
    ExecutionTimeout,
    ModelFailed,
    ModelRefused,
    NotLoaded,
    WorkerDied,
)
from engine.messages import Loaded, Signature
from engine.tryout import Ready
from wire.inference import Backend
from wire.tensors import Tensor, TensorSpec

SPEC = TensorSpec(name="x", datatype="UINT8", shape=("n",))
LOADED = Loaded(
    signature=Signature(inputs=(SPEC,), outputs=(SPEC,), opset=21),
    backend=Backend(name="pretended", version="1", device="none", compute_capability=""),
    sandbox=(),
)


class Theatre:
    """Plays workers. The input's bytes say what happens: seconds to sleep, 200 fails, 201 dies."""

    def __init__(self) -> None:
        self.started = self.alive = 0
        self.executed: list[int] = []
        self.on_start: Callable[[], Awaitable[None]] | None = None
        self.pause = 0.0
        self.exited = trio.Event()
        self.pid = os.getpid()
        self.loaded = LOADED

    def memory(self) -> int:
        return 1

    async def run(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
        what = inputs[0].data[0]
        self.executed.append(int(what))
        await trio.sleep(what if 0 < what < 200 else self.pause)
        if what == 200:
            raise ModelFailed("this input does not please")
        if what == 201:
            self.exited.set()
            raise WorkerDied("it fell")
        return tuple(inputs), 1000

    @asynccontextmanager
    async def _play(self) -> AsyncIterator[Theatre]:
        self.started += 1
        self.exited = trio.Event()
        if self.on_start is not None:
            await self.on_start()
        self.alive += 1
        try:
            yield self
        finally:
            self.alive -= 1

    def launch(self) -> AbstractAsyncContextManager[Theatre]:
        return self._play()


def wish(what: int) -> list[Tensor]:
    return [Tensor.of("x", "UINT8", (1,), bytes((what,)))]


@pytest.fixture
def theatre() -> Theatre:
    return Theatre()


@pytest.fixture
async def desk(nursery: trio.Nursery, theatre: Theatre) -> Desk:
    made = Desk(theatre.launch, queue=2, most_rows=1, load_timeout=60)
    nursery.start_soon(made.serve)
    await made.ready.wait()
    theatre.executed.clear()
    return made


async def expect(desk: Desk, what: int, seconds: float, error: type[EngineError], match: str) -> None:
    with pytest.raises(error, match=match):
        await desk.execute(wish(what), trio.current_time() + seconds)


async def test_one_at_a_time_in_order_and_no_more_than_the_bound_wait(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    async with trio.open_nursery() as nursery:
        for what in (3, 2, 1):
            nursery.start_soon(desk.execute, wish(what), trio.current_time() + 60)
            await wait_all_tasks_blocked()
        assert (desk.waiting, desk.is_idle) == (2, False)
        await expect(desk, 9, 60, EngineBusy, "try again later")
        with pytest.raises(EngineBusy):
            desk.check_room()
    assert theatre.executed == [3, 2, 1]
    desk.check_room()
    assert (desk.waiting, desk.is_idle, desk.runs) == (0, True, 3)


async def test_who_is_refused_is_told_how_long_those_before_it_will_take(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    desk.meter.note(requests=8, busy=4.0, now=trio.current_time())  # half a second each, of late
    async with trio.open_nursery() as nursery:
        for what in (3, 2, 1):
            nursery.start_soon(desk.execute, wish(what), trio.current_time() + 60)
            await wait_all_tasks_blocked()
        with pytest.raises(EngineBusy) as before:
            desk.check_room()
        with pytest.raises(EngineBusy) as caught:
            await desk.execute(wish(9), trio.current_time() + 60)
        assert before.value.after == caught.value.after == pytest.approx(1.5)  # one at work, two that wait
        nursery.cancel_scope.cancel()


async def test_a_deadline_that_passes_in_the_queue_executes_nothing(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.execute, wish(5), trio.current_time() + 60)
        await wait_all_tasks_blocked()
        started = trio.current_time()
        await expect(desk, 1, 2, ExecutionTimeout, "not executed")
        assert trio.current_time() - started == pytest.approx(2)
    await desk.execute(wish(0), trio.current_time() + 1)
    assert theatre.executed == [5, 0]


async def test_a_deadline_shorter_than_any_run_costs_nothing(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    await expect(desk, 0, 0.0001, ExecutionTimeout, "smallest run")
    await expect(desk, 0, -1, ExecutionTimeout, "smallest run")
    assert theatre.executed == []


async def test_a_run_over_its_deadline_is_killed_and_the_next_finds_a_new_worker(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    started = trio.current_time()
    await expect(desk, 100, 5, ExecutionTimeout, "while it ran|killed")
    assert trio.current_time() - started == pytest.approx(5)
    await desk.execute(wish(0), trio.current_time() + 5)
    assert (theatre.started, theatre.alive) == (2, 1)
    assert trio.current_time() - started == pytest.approx(5)  # no waiting: the payer chose that deadline, not the model


async def test_short_deadlines_do_not_cost_the_worker(autojump_clock: MockClock, desk: Desk, theatre: Theatre) -> None:
    theatre.pause = 0.9  # less than any run may take, more than its caller waits
    for _ in range(9):
        await expect(desk, 0, 0.1, ExecutionTimeout, "while it ran")
        await trio.sleep(1)
    theatre.pause = 0
    await desk.execute(wish(0), trio.current_time() + 60)
    assert theatre.started == 1


async def test_a_run_whose_caller_left_ends_within_its_least_time(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    with trio.move_on_after(0.5):
        await desk.execute(wish(100), trio.current_time() + 600)
    left = trio.current_time()
    await desk.execute(wish(0), trio.current_time() + 60)
    assert trio.current_time() - left == pytest.approx(LEAST_RUN - 0.5)
    assert theatre.started == 2


async def test_a_caller_cancelled_while_waiting_leaves_no_trace(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.execute, wish(3), trio.current_time() + 60)
        await wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await desk.execute(wish(7), trio.current_time() + 60)
        assert desk.waiting == 0
    await desk.execute(wish(1), trio.current_time() + 60)
    assert theatre.executed == [3, 1]


async def test_failures_are_the_callers_own(autojump_clock: MockClock, desk: Desk, theatre: Theatre) -> None:
    await expect(desk, 200, 9, ModelFailed, "does not please")
    with pytest.raises(ModelFailed, match="datatype"):
        await desk.execute([Tensor.of("x", "INT8", (1,), b"a")], trio.current_time() + 9)
    with pytest.raises(ModelFailed, match="the model has x"):
        await desk.execute([], trio.current_time() + 9)
    lying = Tensor(wish(1)[0].header, b"far too long")
    with pytest.raises(ModelFailed, match="12 bytes came"):
        await desk.execute([lying], trio.current_time() + 9)
    await desk.execute(wish(0), trio.current_time() + 9)
    assert (theatre.started, desk.runs, desk.failures) == (1, 1, 1)


async def test_a_death_costs_one_request_and_three_withdraw_the_model(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect, desk, 201, 60, WorkerDied, "it fell")
        await wait_all_tasks_blocked()
        await desk.execute(wish(0), trio.current_time() + 60)  # it waited behind, and lost nothing
    before = trio.current_time()
    await expect(desk, 201, 60, WorkerDied, "it fell")
    await desk.execute(wish(0), trio.current_time() + 60)
    assert trio.current_time() - before == pytest.approx(2)  # the second restart waits
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect, desk, 201, 60, WorkerDied, "it fell")
        await wait_all_tasks_blocked()
        await expect(desk, 0, 60, ModelRefused, "3 times")
    await desk.closed.wait()
    await expect(desk, 0, 60, ModelRefused, "3 times")
    assert desk.withdrawn is not None
    assert (theatre.started, theatre.alive) == (3, 0)


async def test_a_worker_that_ends_while_idle_is_replaced(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    theatre.exited.set()
    await wait_all_tasks_blocked()
    assert theatre.started == 2
    await desk.execute(wish(0), trio.current_time() + 9)


async def test_the_time_limit_on_loading_ends_with_the_load(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    await trio.sleep(1000)
    await desk.execute(wish(100), trio.current_time() + 200)
    assert theatre.started == 1


async def test_closing_settles_everyone(autojump_clock: MockClock, desk: Desk, theatre: Theatre) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(expect, desk, 50, 60, NotLoaded, "unloaded")
            await wait_all_tasks_blocked()
        desk.close()
        await desk.closed.wait()
    await expect(desk, 0, 60, NotLoaded, "unloaded")
    assert theatre.alive == 0


async def test_no_room_for_a_process_is_tried_again_later(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    async def no_room() -> None:
        theatre.on_start = None
        raise EngineError("no room")

    theatre.on_start = no_room
    theatre.exited.set()
    before = trio.current_time()
    await desk.execute(wish(0), trio.current_time() + 60)
    assert trio.current_time() - before == pytest.approx(START_RETRY)
    assert desk.withdrawn is None


@pytest.mark.parametrize(
    ("fault", "error", "match"),
    [
        (ModelRefused("no"), ModelRefused, "no"),
        (EngineError("no room"), EngineError, "no room"),
        (WorkerDied("fell"), ModelRefused, "3 times"),
        (None, ModelRefused, "over 60 s"),
    ],
)
async def test_a_model_that_never_loads(
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    theatre: Theatre,
    fault: EngineError | None,
    error: type[EngineError],
    match: str,
) -> None:
    async def on_start() -> None:
        if fault is None:
            await trio.sleep_forever()
        else:
            raise fault

    theatre.on_start = on_start
    desk = Desk(theatre.launch, queue=2, most_rows=1, load_timeout=60)
    nursery.start_soon(desk.serve)
    await desk.ready.wait()
    assert type(desk.outcome) is error
    assert match in str(desk.outcome)
    assert (desk.withdrawn is not None) == isinstance(fault, WorkerDied)


async def test_the_trial_tries_ones_where_zeros_fail(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    class Picky(Theatre):
        async def run(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
            if inputs[0].data[0] == 0:
                raise ModelFailed("division by zero")
            return await super().run(inputs)

    desk = Desk(Picky().launch, queue=2, most_rows=1, load_timeout=60)
    nursery.start_soon(desk.serve)
    await desk.ready.wait()
    assert isinstance(desk.outcome, Ready)
    assert desk.outcome.compute_us == 1000
