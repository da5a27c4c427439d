"""Requests that wait together are executed together, when that changes no answer, and each has its own verdict."""

# ruff: noqa: ARG001 - pytest-trio finds a clock only among a test's own arguments, used there or not

from __future__ import annotations

import os
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.desk import Desk
from engine.errors import EngineError, ExecutionTimeout, ModelFailed, WorkerDied
from engine.jobs import Execution
from engine.messages import Loaded, Signature
from engine.tryout import Ready
from wire.inference import Backend
from wire.tensors import Tensor, TensorSpec

SPEC = TensorSpec(name="x", datatype="UINT8", shape=("n", "m"))
LOADED = Loaded(
    signature=Signature(inputs=(SPEC,), outputs=(SPEC,), opset=21),
    backend=Backend(name="pretended", version="1", device="none", compute_capability=""),
    sandbox=(),
)


class Doubler:
    """Pretends to be a worker: doubles each byte after a second. A row with 200 fails, 201 dies, 202 never ends."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.exited = trio.Event()
        self.loaded = LOADED
        self.leaks = self.loses_rows = False
        self.runs: list[list[int]] = []

    def memory(self) -> int:
        return 1

    async def run(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
        (x,) = inputs
        data = bytes(x.data)
        self.runs.append(list(data))
        await trio.sleep(1)
        if 200 in data:
            raise ModelFailed("one of these does not please")
        if 201 in data:
            self.exited.set()
            raise WorkerDied("it fell")
        if 202 in data:
            await trio.sleep_forever()
        extra = data[0] if self.leaks else 0
        doubled = bytes((2 * b + extra) % 256 for b in data)
        if self.loses_rows and x.header.shape[0] > 1:
            return (Tensor.of("x", "UINT8", (1, len(data)), doubled),), 1000
        return (Tensor.of("x", "UINT8", x.header.shape, doubled),), 1000

    @asynccontextmanager
    async def _play(self) -> AsyncIterator[Doubler]:
        self.exited = trio.Event()
        yield self

    def launch(self) -> AbstractAsyncContextManager[Doubler]:
        return self._play()


def row(*values: int, rows: int = 1) -> list[Tensor]:
    return [Tensor.of("x", "UINT8", (rows, len(values) // rows), bytes(values))]


async def opened(nursery: trio.Nursery, worker: Doubler, rows: int = 4) -> Desk:
    desk = Desk(worker.launch, queue=16, most_rows=rows, load_timeout=60)
    nursery.start_soon(desk.serve)
    await desk.ready.wait()
    worker.runs.clear()
    return desk


async def ask_all(
    desk: Desk, *asked: list[Tensor], seconds: float = 60, last: float = 60
) -> list[Execution | EngineError]:
    """What each of these gives, asked while the desk is at work on something else; the last one waits for `last`."""
    results: dict[int, Execution | EngineError] = {}

    async def ask(number: int, inputs: list[Tensor]) -> None:
        patience = seconds if number < len(asked) - 1 else last
        try:
            results[number] = await desk.execute(inputs, trio.current_time() + patience)
        except EngineError as error:
            results[number] = error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.execute, row(9), trio.current_time() + 60)
        await wait_all_tasks_blocked()
        for number, inputs in enumerate(asked):
            nursery.start_soon(ask, number, inputs)
            await wait_all_tasks_blocked()
    return [results[number] for number in range(len(asked))]


def told(result: Execution | EngineError) -> list[int]:
    assert isinstance(result, Execution)
    return list(bytes(result.outputs[0].data))


async def test_who_waits_together_is_executed_together(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    desk = await opened(nursery, worker := Doubler())
    assert isinstance(desk.outcome, Ready)
    assert desk.outcome.joins
    results = await ask_all(desk, row(1), row(2, 3, rows=2), row(4), row(5))
    assert worker.runs == [[9], [1, 2, 3, 4], [5]]  # nobody waited for company, and four rows are the most
    assert [told(r) for r in results] == [[2], [4, 6], [8], [10]]
    assert [r.company for r in results if isinstance(r, Execution)] == [3, 3, 3, 1]
    assert (desk.requests, desk.runs, desk.failures) == (5, 3, 0)


async def test_only_those_alike_are_joined(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    desk = await opened(nursery, worker := Doubler())
    results = await ask_all(desk, row(1), row(2, 3), row(4), row(5, 6))
    assert worker.runs == [[9], [1, 4], [2, 3, 5, 6]]
    assert [told(r) for r in results] == [[2], [4, 6], [8], [10, 12]]


@pytest.mark.parametrize("fault", ["leaks", "loses_rows"])
async def test_a_model_whose_rows_depend_on_each_other_is_never_joined(
    nursery: trio.Nursery, autojump_clock: MockClock, fault: str
) -> None:
    worker = Doubler()
    setattr(worker, fault, True)
    desk = await opened(nursery, worker)
    assert isinstance(desk.outcome, Ready)
    assert not desk.outcome.joins
    await ask_all(desk, row(1), row(2))
    assert worker.runs == [[9], [1], [2]]


async def test_one_that_fails_spoils_nothing_for_the_others(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    desk = await opened(nursery, worker := Doubler())
    first, spoilt, last = await ask_all(desk, row(1), row(200), row(3))
    assert worker.runs == [[9], [1, 200, 3], [1], [200], [3]]
    assert (told(first), told(last)) == ([2], [6])
    assert isinstance(spoilt, ModelFailed)
    assert desk.failures == 1


async def test_a_death_is_told_to_all_whom_it_cost_their_run(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    desk = await opened(nursery, Doubler())
    for result in await ask_all(desk, row(1), row(201)):
        assert isinstance(result, WorkerDied)
    assert told((await ask_all(desk, row(5)))[0]) == [10]  # it was started anew


async def test_one_that_never_ends_costs_the_others_of_its_run_and_nobody_else(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    desk = await opened(nursery, Doubler())
    for result in await ask_all(desk, row(1), row(202), seconds=20, last=20):
        assert isinstance(result, ExecutionTimeout)
    assert told((await ask_all(desk, row(5)))[0]) == [10]


async def test_whoever_leaves_takes_nobody_along(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    desk = await opened(nursery, worker := Doubler())
    results: list[Execution] = []
    async with trio.open_nursery() as inner:
        inner.start_soon(desk.execute, row(9), trio.current_time() + 60)
        await wait_all_tasks_blocked()
        scope = trio.CancelScope()

        async def leave() -> None:
            with scope:
                await desk.execute(row(1), trio.current_time() + 60)

        async def stay() -> None:
            results.append(await desk.execute(row(2), trio.current_time() + 60))

        inner.start_soon(leave)
        await wait_all_tasks_blocked()
        inner.start_soon(stay)
        await wait_all_tasks_blocked()
        await trio.sleep(1.5)  # their run has begun
        scope.cancel()
    assert worker.runs == [[9], [1, 2]]
    assert told(results[0]) == [4]


async def test_those_left_when_a_run_is_killed_go_to_the_next_worker(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """200 spoils the common run; alone, 202 then has its worker killed, and who comes after it must not be lost."""
    desk = await opened(nursery, Doubler())
    _, endless, last = await ask_all(desk, row(200), row(202), row(7), seconds=20, last=60)
    assert isinstance(endless, ExecutionTimeout)
    assert told(last) == [14]
    assert told((await ask_all(desk, row(5)))[0]) == [10]


class Approximate(Doubler):
    """Its rows of floats are ones, and in company so much more."""

    def __init__(self, more: float, device: str) -> None:
        super().__init__()
        spec = TensorSpec(name="x", datatype="FP32", shape=("n", 4))
        backend = Backend(name="pretended", version="1", device=device, compute_capability="")
        self.loaded = Loaded(
            signature=Signature(inputs=(spec,), outputs=(spec,), opset=21), backend=backend, sandbox=()
        )
        self.more = more

    async def run(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
        rows = inputs[0].header.shape[0]
        value = 1.0 + (self.more if rows > 1 else 0.0)
        return (Tensor.of("x", "FP32", (rows, 4), struct.pack("<f", value) * 4 * rows),), 1000


@pytest.mark.parametrize(
    ("more", "device", "tolerance", "joins"),
    [
        (5e-5, "cpu", 1e-3, True),  # what another of the CPU's kernels changes, whatever the profile allows
        (2e-4, "cpu", 1e-3, False),
        (2e-4, "a card", 1e-3, True),  # a quarter of what the profile allows
        (3e-4, "a card", 1e-3, False),
        (5e-5, "a card", 1e-5, False),  # a verifier would refuse it
        (5e-5, "a card", None, True),
    ],
)
async def test_company_may_cost_a_row_on_a_card_a_part_of_its_profiles_tolerance(
    nursery: trio.Nursery, more: float, device: str, tolerance: float | None, joins: bool
) -> None:
    desk = Desk(Approximate(more, device).launch, queue=16, most_rows=4, load_timeout=60, tolerance=tolerance)
    nursery.start_soon(desk.serve)
    await desk.ready.wait()
    assert isinstance(desk.outcome, Ready)
    assert desk.outcome.joins is joins
    desk.close()
    await desk.closed.wait()
