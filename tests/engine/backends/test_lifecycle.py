"""Backends of a card from the engine's door to its worker and back, in real processes in their real sandbox: only the
card and TensorRT itself are FAKES. What is not shown here: that a card's driver works within that sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

from engine import (
    BeyondHere,
    EngineBusy,
    ModelFile,
    ModelRefused,
    Settings,
    choosing,
    link,
    open_engine,
    probe,
    probing,
    sealed,
)
from engine.backends import Graph
from engine.backends.card import Card
from engine.backends.onnxruntime_cuda import PROVIDER, OnnxRuntimeCuda
from engine.pool import Engine
from engine.probing import probe_backend
from engine.profiles import KINDS
from tests.engine.models import build, mlp, text_and_many, value
from wire.arrays import from_array, to_array

from .fake_card import FakeCuda
from .worker_on_fakes import SCRIPT

GIB = 1 << 30


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "COMMAND", ["-c", SCRIPT])
    monkeypatch.setattr(probing, "is_installed", lambda _: True)
    monkeypatch.setattr(choosing, "has_card", lambda: True)


def settings(folder: Path, **other: Any) -> Settings:
    return Settings(**{"memory": GIB, "engines": folder / "engines", "max_rows": 8, "length": 16, **other})


def opener(model: Any) -> Any:
    def open_files() -> Sequence[ModelFile]:
        return [ModelFile("model.onnx", sealed([model.SerializeToString()]))]

    return open_files


def rows(count: int) -> Any:
    return from_array("x", np.random.default_rng(count).standard_normal((count, 16)).astype(np.float32))


async def ask(engine: Engine, count: int) -> list[float]:
    execution = await engine.execute(b"m", [rows(count)], deadline=30)
    found: list[float] = to_array(execution.outputs[0])[0].tolist()
    return found


async def test_every_backend_is_probed_by_executing_it() -> None:
    report = await probe()
    assert [p.kind for p in report.probes] == list(KINDS)
    assert [(b.name, b.device) for b in report.backends] == [
        ("tensorrt", "FAKE card"), ("onnxruntime", "FAKE card"), ("onnxruntime", "cpu"),
    ]  # fmt: skip
    on_card, *_, on_host = (p.sandbox for p in report.probes)
    assert "memory limit on data" in on_card
    assert any(name.startswith("at most ") and name.endswith(" descriptors") for name in on_card)
    assert {"memory limit", "no new descriptors"} <= set(on_host)
    shared = {"no core, no tracing", "no new privileges", "no capabilities", "no core file", "no file writes"}
    assert shared <= set(on_card) & set(on_host)


async def test_the_best_backend_serves_and_the_answer_says_which(tmp_path: Path) -> None:
    async with open_engine(settings(tmp_path)) as engine:
        ready = await engine.load(b"m", opener(mlp()))
        assert (ready.backend.name, ready.backend.device) == ("tensorrt", "FAKE card")
        execution = await engine.execute(b"m", [rows(3)], deadline=30)
        assert execution.backend == ready.backend
        with pytest.raises(BeyondHere, match=r"up to \[8, 16\]"):
            await engine.execute(b"m", [rows(9)], deadline=30)
        assert (await ask(engine, 8))[:1] != [0.0]
    names = sorted(p.stat().st_mode & 0o777 for p in (tmp_path / "engines").iterdir())
    assert names == [0o600, 0o600]  # the engine, and how long its kernels took


async def test_a_second_start_loads_what_the_first_built(tmp_path: Path) -> None:
    folder, answers, inodes = tmp_path / "engines", [], []
    for _ in range(2):
        async with open_engine(settings(tmp_path, backend="tensorrt")) as engine:
            await engine.load(b"m", opener(mlp()))
            answers.append(await ask(engine, 2))
        inodes.append(sorted(p.stat().st_ino for p in folder.iterdir()))
    assert answers[0] == answers[1]
    assert inodes[0] == inodes[1], "it was built again"
    for path in folder.iterdir():
        path.write_bytes(b"rotten")
    async with open_engine(settings(tmp_path, backend="tensorrt")) as engine:
        await engine.load(b"m", opener(mlp()))
        assert await ask(engine, 2) == answers[0]
    assert all(p.stat().st_size > 20 for p in folder.iterdir())


async def test_another_models_engine_is_never_looked_at(tmp_path: Path) -> None:
    other = build(
        [value("x", T.FLOAT, ["N", 16])], [value("y", T.FLOAT, ["N", 16])], [h.make_node("Neg", ["x"], ["y"])]
    )
    async with open_engine(settings(tmp_path, backend="tensorrt")) as engine:
        await engine.load(b"m", opener(mlp()))
        first = await ask(engine, 1)
        await engine.unload(b"m")
        await engine.load(b"m", opener(other))  # under the same name: its bytes decide
        assert await ask(engine, 1) == (-to_array(rows(1)))[0].tolist() != first
    assert len(list((tmp_path / "engines").iterdir())) == 4


async def test_what_one_backend_refuses_the_next_serves_and_the_reason_is_told(tmp_path: Path) -> None:
    async with open_engine(settings(tmp_path)) as engine:
        ready = await engine.load(b"m", opener(text_and_many()))  # text cannot lie on a card
        assert ready.backend.device == "cpu"
        (status,) = engine.loaded()
        passed = dict(status.passed)
        assert "FP64" in passed["tensorrt"]
        assert "cannot lie on a card" in passed["onnxruntime-cuda"]
    async with open_engine(settings(tmp_path, backend="onnxruntime-cuda")) as engine:
        with pytest.raises(ModelRefused, match="cannot lie on a card"):
            await engine.load(b"m", opener(text_and_many()))


async def test_the_cuda_backend_serves_where_it_is_wanted(tmp_path: Path) -> None:
    async with open_engine(settings(tmp_path, backend="onnxruntime-cuda")) as engine:
        ready = await engine.load(b"m", opener(mlp()), profile="fp32-cuda")
        assert (ready.backend.name, ready.backend.compute_capability) == ("onnxruntime", "9.0")
        on_card = await ask(engine, 5)
    async with open_engine(settings(tmp_path, backend="onnxruntime-cpu")) as engine:
        await engine.load(b"m", opener(mlp()))
        assert await ask(engine, 5) == on_card
    assert not (tmp_path / "engines").exists()


async def test_a_wrong_result_is_no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = SCRIPT.replace(
        "main()\n",
        "from tests.engine.backends import fake_tensorrt\n"
        "fake_tensorrt.IExecutionContext.execute_async_v3 = lambda *_: True\nmain()\n",
    )
    monkeypatch.setattr(link, "COMMAND", ["-c", wrong])
    found = await probe_backend("tensorrt")
    assert (found.backend, "adds wrongly" in found.problem) == (None, True)


async def test_an_engine_that_kills_its_worker_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_engine(settings(tmp_path, backend="tensorrt")) as engine:
        await engine.load(b"m", opener(mlp()))
        before = await ask(engine, 1)
    deadly = SCRIPT.replace(
        "main()\n",
        "from tests.engine.backends import fake_tensorrt\n"
        "build = fake_tensorrt.Builder.build_serialized_network\n"
        "def built(*a): fake_tensorrt.fresh = True; return build(*a)\n"
        "fake_tensorrt.Builder.build_serialized_network = built\n"
        "make = fake_tensorrt.Runtime.deserialize_cuda_engine\n"
        "def load(*a): return make(*a) if hasattr(fake_tensorrt, 'fresh') else os._exit(9)\n"
        "fake_tensorrt.Runtime.deserialize_cuda_engine = load\nmain()\n",
    )
    monkeypatch.setattr(link, "COMMAND", ["-c", deadly])  # what was kept kills the worker that loads it
    monkeypatch.setattr(choosing.Choice, "_problem", never_a_problem)
    async with open_engine(settings(tmp_path, backend="tensorrt")) as engine:
        await engine.load(b"m", opener(mlp()))  # the second worker builds anew
        assert await ask(engine, 1) == before


async def never_a_problem(*_: Any) -> None:
    """No probe: it would meet the same deadly worker."""


async def test_a_builds_progress_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.starting import Starter

    shown: list[str] = []
    note = Starter._note
    monkeypatch.setattr(Starter, "_note", lambda self, b: (note(self, b), shown.append(self.building))[0])
    async with open_engine(settings(tmp_path, backend="tensorrt")) as engine:
        await engine.load(b"m", opener(mlp()))
        assert shown == ["FAKE build, 0 of 2", "FAKE build, 1 of 2", "FAKE build, 2 of 2"]
        assert engine.loaded()[0].building == ""


async def test_models_on_a_card_have_room_on_it_together(tmp_path: Path) -> None:
    def loaded() -> list[bytes]:
        return [status.model for status in engine.loaded()]

    async with open_engine(settings(tmp_path, backend="onnxruntime-cuda", card_memory=2 * GIB)) as engine:
        for name in (b"a", b"b", b"c"):  # each counts with the GIB that it may take
            await engine.load(name, opener(mlp()))
        assert loaded() == [b"b", b"c"]
        await engine.load(b"d", opener(mlp()), pinned=True)
        await engine.load(b"e", opener(mlp()), pinned=True)
        with pytest.raises(EngineBusy, match="taken by others"):
            await engine.load(b"f", opener(mlp()))
        assert loaded() == [b"d", b"e"]


async def test_by_itself_nine_tenths_of_the_card_are_for_models(tmp_path: Path) -> None:
    async with open_engine(settings(tmp_path)) as engine:
        assert engine.card_memory is None  # nothing has executed there
        await engine.load(b"m", opener(mlp()))
        assert engine.card_memory == int(0.9 * 8 * GIB)  # of the FAKE's
    async with open_engine(settings(tmp_path, backend="onnxruntime-cpu")) as engine:
        await engine.load(b"m", opener(mlp()))
        assert engine.card_memory is None


def test_on_a_card_the_arena_grows_by_doubling_within_its_limit() -> None:
    """A decoder's cache grows with each step: an arena that takes what is asked for keeps a piece of every size."""
    made: list[Any] = []

    class Stopped(OnnxRuntimeCuda):
        def _create(self, data: bytes) -> None:  # noqa: ARG002 — the backend's
            made.extend(self._providers())
            raise ModelRefused("seen enough")

    graph = Graph(mlp().SerializeToString(), mlp(), {}, ())
    with pytest.raises(ModelRefused):
        Stopped(graph, Card(FakeCuda()), threads=1, memory=GIB, tf32=False)
    ((name, options),) = made
    assert name == PROVIDER
    assert (options["arena_extend_strategy"], options["gpu_mem_limit"]) == ("kNextPowerOfTwo", str(GIB))
