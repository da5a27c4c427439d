"""The engine with real workers: good models and bad ones, deaths, and what is left behind (nothing)."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing
from onnx import helper as h

from engine import (
    Engine,
    EngineBusy,
    ExecutionTimeout,
    ModelFailed,
    ModelFile,
    ModelRefused,
    NotLoaded,
    OpenModel,
    Ready,
    Settings,
    WorkerDied,
    inspect,
    link,
    open_engine,
    sealed,
)
from engine.bounds import MAX_LOG
from engine.link import open_worker
from engine.modelfile import closing
from wire.arrays import from_array, to_array
from wire.tensors import Tensor, join_bytes, split_bytes

from .models import build, file_reader, magika_model, mlp, text_and_many, trouble

MIB = 1024 * 1024


def file_of(model: Any) -> OpenModel:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return lambda: [ModelFile("model.onnx", sealed([data]))]


async def inspect_model(model: Any, memory: int = 1024 * MIB, timeout: float = 60) -> Any:  # noqa: ASYNC109
    with closing(files := file_of(model)()):
        return await inspect(files, memory=memory, timeout=timeout)


def directly(model: bytes, feeds: dict[str, Any]) -> list[Any]:
    import onnxruntime

    found: list[Any] = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feeds)
    return found


def children() -> set[int]:
    me = str(os.getpid())
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().rpartition(")")
            if rest.split()[1] == me:
                found.add(int(name.split()[0]))
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Any:
    processes, descriptors = children(), len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert children() == processes, "a worker, or its zombie, outlived the engine"
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors, "a descriptor leaked"


async def test_good_models_answer_as_a_session_of_our_own_does() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((5, 16)).astype(np.float32)
    file = rng.integers(0, 256, (3, 2048)).astype(np.int32)
    async with open_engine(Settings(threads=2, max_models=2)) as engine:
        ready = await engine.load(b"magika", file_of(magika_model()))
        assert [(s.name, s.datatype, s.shape[1:]) for s in ready.signature.inputs] == [("bytes", "INT32", (2048,))]
        assert [(s.datatype, s.shape[1:]) for s in ready.signature.outputs] == [("FP32", (214,))]
        assert ready.compute_us > 0
        assert (ready.backend.name, ready.backend.device) == ("onnxruntime", "cpu")
        assert await engine.load(b"magika", lambda: pytest.fail("it is loaded already")) == ready
        await engine.load(b"mlp", file_of(mlp()))

        answer = await engine.execute(b"magika", [from_array("bytes", file)], deadline=30)
        (expected,) = directly(magika_model(), {"bytes": file})
        assert bytes(answer.outputs[0].data) == expected.tobytes()
        assert answer.outputs[0].header.shape == (3, 214)
        answer = await engine.execute(b"mlp", [from_array("x", x)], deadline=30)
        (expected,) = directly(mlp().SerializeToString(), {"x": x})
        assert bytes(answer.outputs[0].data) == expected.tobytes()

        (first, second) = engine.loaded()
        assert (first.model, second.model, first.runs, first.failures) == (b"magika", b"mlp", 1, 0)
        assert 10 * MIB < first.memory < 500 * MIB
        assert {first.pid, second.pid} <= children()

        await engine.load(b"text", file_of(text_and_many()))  # a third in two places: the least recently used goes
        assert [s.model for s in engine.loaded()] == [b"mlp", b"text"]
        with pytest.raises(NotLoaded):
            await engine.execute(b"magika", [from_array("bytes", file)], deadline=30)
        assert first.pid not in children()
        await engine.unload(b"mlp")
        assert [s.model for s in engine.loaded()] == [b"text"]
        await text_types_and_wrong_inputs(engine)


async def text_types_and_wrong_inputs(engine: Engine) -> None:
    words = ["", "Grüße", "two\nlines \0 and a zero", "雪"]
    text = Tensor.of("text", "BYTES", (4,), join_bytes([w.encode() for w in words]))
    x = from_array("x", np.array([[-1.0, 0.0], [np.inf, np.nan], [1.0, 2.0]]))
    flag = Tensor.of("flag", "BOOL", (2,), b"\0\1")

    async def run(*inputs: Tensor) -> Sequence[Tensor]:
        return (await engine.execute(b"text", inputs, deadline=30)).outputs

    same, log, no = await run(text, x, flag)
    assert split_bytes(same.data) == [w.encode() for w in words]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(to_array(log), np.log(to_array(x)))  # NaN and infinities are passed on
    assert bytes(no.data) == b"\1\0"
    empty = await run(Tensor.of("text", "BYTES", (0,), b""), Tensor.of("x", "FP64", (0, 7), b""), flag)
    assert [t.header.shape for t in empty] == [(0,), (0, 7), (2,)]

    latin = Tensor.of("text", "BYTES", (1,), join_bytes([b"\xff\xfe"]))
    lying = Tensor(flag.header, b"\0\1\1")
    for inputs, match in (
        ((text, x), "the model has text, x, flag"),
        ((x, text, flag), "the model has text, x, flag"),
        ((text, from_array("x", np.zeros((1, 1), np.float32)), flag), "datatype FP32, the model has FP64"),
        ((text, from_array("x", np.zeros(1)), flag), "shape"),
        ((text, x, Tensor.of("flag", "BOOL", (3,), b"\0\1\0")), r"shape \[3\], the model has \[2\]"),
        ((text, x, lying), "3 bytes came"),
        ((latin, x, flag), "not UTF-8"),
    ):
        with pytest.raises(ModelFailed, match=match):
            await run(*inputs)
    assert engine.loaded()[0].failures == 1  # the rest never reached the worker


def asked(turns: int, size: int) -> list[Tensor]:
    return [Tensor.of("turns", "INT64", (), struct.pack("<q", turns)),
            Tensor.of("size", "INT64", (1,), struct.pack("<q", size))]  # fmt: skip


async def until_busy(pid: int) -> None:
    """Until the worker computes: it has used processor time since now."""

    def used() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    start = used()
    while used() < start + 3:  # noqa: ASYNC110 - nothing to wait on: only the kernel knows
        await trio.sleep(0.01)


async def test_trouble_costs_only_who_asks_for_it() -> None:
    forever = 2**60
    async with open_engine(Settings(memory=1024 * MIB, queue=1)) as engine:
        await engine.load(b"trouble", file_of(trouble()))

        async def run(turns: int = 0, size: int = 0, deadline: float = 30) -> None:
            answer = await engine.execute(b"trouble", asked(turns, size), deadline=deadline)
            assert to_array(answer.outputs[0]) == 0

        def pid() -> int:
            found = engine.loaded()[0].pid
            assert found is not None
            return found

        # memory: 64 GiB fail cleanly, and the worker lives
        before = pid()
        with pytest.raises(ModelFailed, match=r"memory|alloc"):
            await run(size=2**34)
        await run(turns=3, size=1000)
        assert pid() == before

        # an endless run: its caller hears at the deadline, the worker is killed, the next one is answered
        started = trio.current_time()
        with pytest.raises(ExecutionTimeout, match="while it ran"):
            await run(turns=forever, deadline=0.3)
        assert trio.current_time() - started < 1
        await run()
        assert pid() != before
        assert before not in children()

        # a caller that goes away, and one too many
        before = pid()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, forever)
            await until_busy(before)
            async with trio.open_nursery() as others:
                others.start_soon(run)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(EngineBusy):
                    await run()
                nursery.cancel_scope.cancel()
        await run()

        # killed from outside in mid-run
        with pytest.raises(WorkerDied, match=r"SIGKILL.*Ask again"):
            async with killer(pid()):
                await run(turns=forever)
        await run()
        status = engine.loaded()[0]
        assert status.pid is not None
        assert status.failures == 4

        # closing in mid-run leaves nothing: see the fixture
        with trio.move_on_after(0.2):
            await run(turns=forever)


@contextlib.asynccontextmanager
async def killer(pid: int) -> Any:
    async def kill() -> None:
        await until_busy(pid)
        os.kill(pid, signal.SIGKILL)

    death: WorkerDied | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kill)
        try:
            yield
        except WorkerDied as error:  # out of the nursery, so that it comes alone and not in a group
            death = error
    if death is not None:
        raise death


async def test_models_that_are_refused() -> None:
    nonsense = build(list(mlp().graph.input), list(mlp().graph.output), [h.make_node("Nonsense", ["x"], ["y"])])
    for model, match in (
        (b"", "not an ONNX model"),
        (mlp().SerializeToString()[:-300], "not an ONNX model"),
        (nonsense, "ONNX Runtime cannot load the model: .*Nonsense"),
    ):
        with pytest.raises(ModelRefused, match=match):
            await inspect_model(model)
    with pytest.raises(ModelRefused, match="took over"):
        await inspect_model(mlp(), timeout=0.05)


async def test_a_models_own_words_in_a_refusal_are_printable() -> None:
    model = mlp()
    model.graph.node[0].op_type, model.graph.node[0].name = "Nope", "bad\x1b[31mnode\u202e"
    with pytest.raises(ModelRefused, match=r"bad \[31mnode") as refused:
        await inspect_model(model)
    assert str(refused.value).isprintable()


READ_A_FILE = """
import numpy, onnxruntime, sys
session = onnxruntime.InferenceSession(sys.stdin.buffer.read(), providers=["CPUExecutionProvider"])
sys.stdout.buffer.write(session.run(None, {"x": numpy.zeros(2048, "f")})[0].tobytes())
"""
UNSCREENED = """
import sys, engine.screen
engine.screen.screen = lambda model: []
from engine.worker import main
main(sys.argv[1:])
"""


async def test_a_file_beside_the_worker_is_read_neither_by_the_rules_nor_against_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = struct.pack("<4f", 1, 2, 3, 4) * 512
    (tmp_path / "secret.bin").write_bytes(secret)
    model = file_reader().SerializeToString()
    # the attack is real: an ordinary session in that folder hands out the file
    done = await trio.run_process(
        [sys.executable, "-c", READ_A_FILE], stdin=model, capture_stdout=True, cwd=tmp_path,
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
    )  # fmt: skip
    assert done.stdout == secret

    async def load() -> None:
        with closing(files := file_of(model)()):
            async with open_worker(files, tmp_path, threads=1, memory=512 * MIB):
                pass

    with pytest.raises(ModelRefused, match="another file"):
        await load()
    monkeypatch.setattr(link, "COMMAND", ["-c", UNSCREENED])  # as if the screening had a hole
    with pytest.raises(ModelRefused, match="ONNX Runtime cannot load"):
        await load()


LIES = {
    "unframed": "channel.sendall(b'x' * 100)",
    "another answer": "say(Ran(outputs=(), compute_us=1))",
    "not canonical": "channel.sendall(b'\\1\\0\\0\\0\\2\\xff\\xff')",
    "too large": "channel.sendall(b'\\1\\xff\\xff\\xff\\xff')",
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_worker_that_was_taken_over_can_only_lose_its_life(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"""
import socket, sys
from engine.messages import Ran
from engine.parcels import pack
channel = socket.socket(fileno=int(sys.argv[1]))
say = lambda message: channel.sendall(b"".join(pack(message)))
{LIES[lie]}
channel.recv(1 << 20)
channel.recv(1 << 20)
"""
    monkeypatch.setattr(link, "COMMAND", ["-c", script])
    with pytest.raises(WorkerDied, match="what none may send"):
        await inspect_model(mlp())


async def test_a_workers_last_words_are_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys; sys.stderr.write('x' * 99_999 + 'the \\x1b[31mend'); sys.exit(7)"
    monkeypatch.setattr(link, "COMMAND", ["-c", script])
    with pytest.raises(WorkerDied) as caught:
        await inspect_model(mlp())
    assert "ended with status 7; it said: xxx" in str(caught.value)
    assert "the  [31mend" in str(caught.value)  # in full at its end, and harmless to a terminal
    assert len(str(caught.value)) < MAX_LOG + 200
    assert "Ask again" not in str(caught.value)  # nobody asked: a model was inspected
    assert str(caught.value).endswith("would lose its worker")


async def test_a_model_that_outgrows_its_memory_is_refused() -> None:
    big = build([], [h.make_tensor_value_info("y", 1, [None])], [
        h.make_node("Constant", [], ["n"], value=h.make_tensor("n", 7, [1], [2**34])),
        h.make_node("ConstantOfShape", ["n"], ["y"]),
    ])  # fmt: skip
    async with open_engine(Settings(memory=512 * MIB)) as engine:
        with pytest.raises(ModelRefused, match=r"memory|alloc"):
            await engine.load(b"big", file_of(big))
        assert engine.loaded() == []
    with os.fdopen(os.memfd_create("writable")) as file, pytest.raises(ValueError, match="reading only"):
        await inspect([ModelFile("model.onnx", file.fileno())])


async def test_loading_can_be_cancelled_and_the_engine_closed_at_any_time() -> None:
    for seconds in (0.0, 0.02, 0.2):
        with trio.move_on_after(seconds):
            async with open_engine() as engine:
                await engine.load(b"mlp", file_of(mlp()))
    async with open_engine() as engine:
        with trio.move_on_after(0.05):
            await engine.load(b"mlp", file_of(mlp()))
        ready = await engine.load(b"mlp", lambda: pytest.fail("the first load goes on"))
        assert isinstance(ready, Ready)


def test_settings_that_no_worker_could_follow_are_refused_at_once() -> None:
    for wrong in ({"threads": 0}, {"threads": 256}, {"memory": MIB}, {"max_models": 0}, {"queue": 0}):
        with pytest.raises(ValueError, match="at least"):
            Settings(**wrong)
