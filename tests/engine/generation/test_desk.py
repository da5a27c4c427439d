"""A desk and a generator that only pretends, on a clock that jumps: who waits, who leaves, what is killed when."""

# ruff: noqa: ARG001 - pytest-trio finds a clock only among a test's own arguments, used there or not

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from engine.bounds import CHUNK, LEAST_RUN, PATIENCE
from engine.desk import Desk
from engine.errors import ExecutionTimeout, ModelFailed, ModelRefused
from engine.messages import Loaded, Signature
from engine.tryout import Ready
from wire.generation import Tokens, generator_signature
from wire.inference import Backend
from wire.tensors import Tensor

from .asking import asking

INPUTS, OUTPUTS = generator_signature(has_text=False)
CHUNK_TIME = 3.0  # seconds that a full piece of a prompt takes
ANSWER = Tensor.of("tokens", "INT64", (2,), bytes(16)), Tensor.of("finish", "BYTES", (1,), b"\6\0\0\0length")


class Theatre:
    """Plays a decoder that draws a token each second. Its prompt's first id says more: 7 never heeds a stop."""

    def __init__(self, context: int = 1000) -> None:
        self.context = context
        self.started = self.stopped = 0
        self.exited = trio.Event()
        self.pid = os.getpid()
        backend = Backend(name="pretended", version="1", device="none", compute_capability="")
        signature = Signature(inputs=INPUTS, outputs=OUTPUTS, opset=23, interface="generate")
        self.loaded = Loaded(signature=signature, backend=backend, sandbox=())

    def memory(self) -> int:
        return 1

    async def generate(
        self, inputs: Sequence[Tensor], on_tokens: Callable[[Tokens], None], stop: trio.Event
    ) -> tuple[tuple[Tensor, ...], int, int]:
        prompt, wanted = inputs[0].header.shape[1], int.from_bytes(inputs[1].data, "little")
        if prompt > self.context:
            raise ModelFailed("it was not made for so many")
        for token in range(wanted if wanted > 1 else 0):
            await trio.sleep(1)
            if stop.is_set() and inputs[0].data[0] != 7:
                self.stopped += 1
                raise ModelFailed("stopped")
            on_tokens(Tokens(ids=(token,), text=""))
        return ANSWER, int((CHUNK_TIME if prompt == CHUNK else 0.1) * 1e6), prompt

    @asynccontextmanager
    async def _play(self) -> AsyncIterator[Theatre]:
        self.started += 1
        self.exited = trio.Event()
        yield self

    def launch(self) -> AbstractAsyncContextManager[Theatre]:
        return self._play()


@pytest.fixture
def theatre() -> Theatre:
    return Theatre()


@pytest.fixture
async def desk(nursery: trio.Nursery, theatre: Theatre) -> Desk:
    made = Desk(theatre.launch, queue=2, most_rows=8, load_timeout=60)
    nursery.start_soon(made.serve)
    await made.ready.wait()
    return made


async def test_a_generation_goes_on_as_long_as_somebody_waits(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    told: list[Tokens] = []
    execution = await desk.execute(asking([1, 1], 500), trio.current_time() + 600, told.append)
    assert [step.ids for step in told] == [(i,) for i in range(500)]
    assert (execution.tokens_in, execution.tokens_out, execution.company) == (2, 2, 1)
    assert (theatre.started, desk.runs, desk.failures) == (1, 1, 0)


async def test_who_leaves_stops_it_within_a_step_and_costs_nobody_anything(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    told: list[Tokens] = []
    with trio.move_on_after(3.5):
        await desk.execute(asking([1], 500), trio.current_time() + 600, told.append)
    left = trio.current_time()
    await desk.execute(asking([1], 2), trio.current_time() + 60)
    assert trio.current_time() - left == pytest.approx(0.5 + 2)
    assert (len(told), theatre.stopped, theatre.started) == (3, 1, 1)
    assert (desk.runs, desk.failures) == (1, 0)


async def test_a_deadline_stops_it_too(autojump_clock: MockClock, desk: Desk, theatre: Theatre) -> None:
    with pytest.raises(ExecutionTimeout, match="while it ran"):
        await desk.execute(asking([1], 500), trio.current_time() + 4.5)
    await desk.execute(asking([1], 2), trio.current_time() + 60)
    assert (theatre.stopped, theatre.started) == (1, 1)


async def test_a_generation_that_heeds_no_stop_is_killed_after_the_time_of_a_step(
    autojump_clock: MockClock, desk: Desk, theatre: Theatre
) -> None:
    told: list[Tokens] = []
    with trio.move_on_after(5):
        await desk.execute(asking([7], 500), trio.current_time() + 600, told.append)
    left, heard = trio.current_time(), len(told)
    await desk.execute(asking([1], 2), trio.current_time() + 60)
    assert trio.current_time() - left == pytest.approx(max(LEAST_RUN, PATIENCE * CHUNK_TIME) + 2)
    assert len(told) == heard  # who left hears nothing any more
    assert (theatre.started, desk.failures) == (2, 1)


async def test_the_trial_finds_the_longest_step_that_the_decoder_has(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    for context, served in ((1000, True), (20, True), (1, True), (0, False)):
        desk = Desk(Theatre(context).launch, queue=2, most_rows=8, load_timeout=60)
        nursery.start_soon(desk.serve)
        await desk.ready.wait()
        if served:
            assert isinstance(desk.outcome, Ready)
            assert (desk.outcome.compute_us, desk.outcome.joins) == (100_000, False)
        else:
            assert isinstance(desk.outcome, ModelRefused)
            assert "one token after one token" in str(desk.outcome)
