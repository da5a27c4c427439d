"""Models that mean harm, in real workers: each is refused or contained, told in a sentence, and costs nobody else.

While each of them does its worst, another model of the same engine answers; bench/hostile.py measures how promptly.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import pytest
import trio
from onnx import TensorProto as T
from onnx import helper as h

from bench.models import hostile
from engine import (
    Engine,
    EngineError,
    ExecutionTimeout,
    ModelFailed,
    ModelRefused,
    Settings,
    open_engine,
    strikes,
)
from wire.bounds import MAX_TENSOR_BYTES
from wire.tensors import Tensor

from .models import build, value
from .test_engine import file_of

GIB = 2**30
AT_LOAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "endless": (hostile.endless, r"took over 4 s; simplify it"),
    "64 GiB in a constant": (hostile.greedy, r"failed its trial run .*memory of \d+ is smaller"),
    "9 KiB that grow to 936 MiB": (hostile.growing, r"memory|alloc"),
    "64 GiB in a sparse weight": (hostile.sparse, r"cannot load the model"),
    "a weight of 2⁶² elements": (hostile.huge_shapes, r"cannot load the model: Invalid TensorProto"),
    "inputs of 4 GiB": (hostile.wide_inputs, rf"over {MAX_TENSOR_BYTES} bytes, the bound for all inputs"),
    "graphs within graphs": (lambda: hostile.nested(30), r"nested deeper than 64 messages; flatten them"),
    "so deep that protobuf gives up": (lambda: hostile.nested(10_000), r"not an ONNX model"),
    "one node too many": (lambda: hostile.crowd(500_001), r"more than 500000 nodes; simplify it"),
    "2⁴⁰ nodes in functions": (lambda: hostile.laughs(40), r"took over 4 s|memory"),
    "recursive": (hostile.recursive, r"cannot load the model"),
    "kills its worker": (lambda: hostile.calls(20_000), r"withdrawn: it ended its worker 3 times.*SIGSEGV"),
}
AT_RUN: dict[str, tuple[Callable[[], bytes], int, type[EngineError], str]] = {
    "a tensor doubled 40 times": (hostile.doubling, 40, ModelFailed, r"memory of \d+ is smaller"),
    "a Scan of Loops": (hostile.scans, 1_000_000, ExecutionTimeout, r"deadline passed while it ran|killed"),
    "10 GB of output": (hostile.outpouring, 10**10, ModelFailed, r"memory of \d+ is smaller"),
    "100 MB of output": (hostile.outpouring, 10**8, ModelFailed, rf"100000000 bytes, the bound is {MAX_TENSOR_BYTES}"),
    "2³⁰ texts": (hostile.texts, 2**30, ModelFailed, r"memory of \d+ is smaller"),
    "1,000,000 texts": (hostile.texts, 1_000_000, ModelFailed, r"bound is 262144|cannot be sent"),
    "a text of 2 GiB": (hostile.long_text, 31, ModelFailed, r"alloc|memory"),
    "a text of 128 MiB": (hostile.long_text, 27, ModelFailed, rf"bound is {MAX_TENSOR_BYTES}"),
    "other shapes than it says": (hostile.liar, 3, ModelFailed, r"y: shape \[3\], the model has \[1\]"),
}
NEIGHBOUR = b"neighbour"


async def with_neighbour(engine: Engine) -> None:
    twice = build([value("x", T.FLOAT, ["N"])], [value("y", T.FLOAT, ["N"])], [h.make_node("Add", ["x", "x"], ["y"])])
    await engine.load(NEIGHBOUR, file_of(twice))


async def go_on_asking(engine: Engine, ends: trio.Event) -> None:
    """The neighbour answers, at once and as long as the other one does its worst."""
    while True:
        answer = await engine.execute(NEIGHBOUR, [Tensor.of("x", "FP32", (1,), struct.pack("<f", 21))], deadline=30)
        assert bytes(answer.outputs[0].data) == struct.pack("<f", 42)
        if ends.is_set():
            return
        await trio.sleep(0.01)


def plain(error: EngineError) -> str:
    text = str(error)
    assert text.isprintable()
    assert len(text) < 4096
    return text


@pytest.mark.parametrize("harm", AT_LOAD)
async def test_at_load_it_is_refused_with_a_reason(harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strikes, "RESTART_DELAYS", (0.0, 0.0))
    make, reason = AT_LOAD[harm]
    data = make()
    settings = Settings(memory=GIB // 4 if "936" in harm else GIB, load_timeout=4 if "took over" in reason else 60)
    async with open_engine(settings) as engine, trio.open_nursery() as nursery:
        await with_neighbour(engine)
        nursery.start_soon(go_on_asking, engine, over := trio.Event())
        with pytest.raises(ModelRefused) as caught:
            await engine.load(b"harm", file_of(data))
        over.set()
        assert re.search(reason, plain(caught.value)), caught.value
        assert [status.model for status in engine.loaded()] == [NEIGHBOUR]


@pytest.mark.parametrize("harm", AT_RUN)
async def test_at_run_it_costs_its_asker_alone_and_the_next_is_answered(harm: str) -> None:
    make, count, kind, reason = AT_RUN[harm]

    async def run(engine: Engine, n: int, deadline: float) -> None:
        await engine.execute(b"harm", [Tensor.of("n", "INT64", (1,), struct.pack("<q", n))], deadline=deadline)

    async with open_engine(Settings(memory=GIB)) as engine, trio.open_nursery() as nursery:
        await with_neighbour(engine)
        await engine.load(b"harm", file_of(make()))
        nursery.start_soon(go_on_asking, engine, over := trio.Event())
        for _ in range(2):  # what one left behind does not spoil the next
            with pytest.raises(kind) as caught:
                await run(engine, count, 0.5 if kind is ExecutionTimeout else 60)
            assert re.search(reason, plain(caught.value)), caught.value
            await run(engine, 1, 60)
        over.set()


async def test_a_model_that_is_slow_on_some_inputs_is_killed_for_these_alone() -> None:
    """One product of matrices, which nothing can break off; and the trial run took no time."""
    async with open_engine(Settings(memory=2 * GIB)) as engine:
        ready = await engine.load(b"m", file_of(hostile.heavy()))
        assert ready.compute_us < 1_000_000
        before = engine.loaded()[0].pid
        with pytest.raises(ExecutionTimeout):
            await engine.execute(b"m", [Tensor.of("n", "INT64", (1,), struct.pack("<q", 10_000))], deadline=1.2)
        await engine.execute(b"m", [Tensor.of("n", "INT64", (1,), struct.pack("<q", 10))], deadline=30)
        assert engine.loaded()[0].pid != before
