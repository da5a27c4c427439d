"""The direct loop: its figures by hand, and its process with real models."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine import EngineError, ModelFile, Settings, choosing, link, open_engine, probing, sealed
from node.benching import bounds, floor
from node.benching.direct import summarise
from node.benching.floor import run_direct
from node.benching.inputs import WIDE, draw, sizes
from node.modelfiles import Loadable
from tests.engine.backends.worker_on_fakes import SCRIPT
from tests.engine.models import file_reader, mlp, text_and_many
from wire.tensors import Tensor, TensorSpec

MLP = [TensorSpec(name="x", datatype="FP32", shape=("N", 16))]


def pool(specs: list[TensorSpec], dims: dict[str, int], count: int = 3) -> list[list[Tensor]]:
    return [draw(bytes(32), number, specs, sizes(specs, dims), WIDE) for number in range(count)]


async def rows_of(
    model: Any, requests: Sequence[Sequence[Tensor]], settings: Settings | None = None
) -> list[dict[str, Any]]:
    def open_files() -> list[ModelFile]:
        return [ModelFile("model.onnx", sealed([model.SerializeToString()]))]

    failure = None
    async with open_engine(settings) as engine:
        try:
            return await run_direct(engine, Loadable(open_files, "tensors", "fp32", 0), requests, 0.05, lambda _: None)
        except EngineError as error:  # out of the engine, so that it comes alone and not in a group
            failure = error
    assert failure
    raise failure


def test_its_figures_are_of_the_time_inside_the_runtime() -> None:
    found = summarise(array("Q", [1000] * 99 + [5000]), 8, 52)
    assert (found.runs, found.batch, found.p50_us, found.p99_us, found.max_us) == (100, 8, 1000, 1000, 5000)
    assert (found.mean_millirate, found.millitokens) == (int(1000 * 800 / 0.104), 500_000)
    assert found.millirate >= found.mean_millirate  # one slow run does not colour the median


async def test_a_model_with_a_free_first_dim_is_run_in_batches() -> None:
    found = await rows_of(mlp(), pool(MLP, {}))
    assert [row["batch"] for row in found] == list(bounds.DIRECT_BATCHES)
    for row in found:
        assert row["why"] == ""
        assert row["items"] == row["runs"] * row["batch"]
        assert row["items_per_s"] > 0 < row["p50_us"] <= row["p99_us"] <= row["max_us"]
        assert row["backend"].startswith("onnxruntime ")
        assert row["backend"].endswith(" on cpu")


async def test_a_model_without_one_has_the_single_run_only_and_says_why() -> None:
    specs = [
        TensorSpec(name="text", datatype="BYTES", shape=("N",)),
        TensorSpec(name="x", datatype="FP64", shape=("dim_1", "dim_0")),
        TensorSpec(name="flag", datatype="BOOL", shape=(2,)),
    ]
    single, *batched = await rows_of(text_and_many(), pool(specs, {}))
    assert single["runs"] > 0
    assert all(row["runs"] == 0 and row["items_per_s"] is None and "first dim" in row["why"] for row in batched)


async def test_a_stranger_s_model_has_no_more_rights_here_than_in_a_worker() -> None:
    with pytest.raises(EngineError):
        await rows_of(file_reader(), pool(MLP, {}))


async def test_a_file_that_is_no_model_is_an_engine_error() -> None:
    class Prose:
        def SerializeToString(self) -> bytes:
            return b"It was a dark and stormy night." * 9

    with pytest.raises(EngineError):
        await rows_of(Prose(), pool(MLP, {}))


class TestOnACard:
    """With a FAKE card and a fake TensorRT, in real processes: which backend the loop takes, and what it says of it."""

    @pytest.fixture(autouse=True)
    def _fakes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fakes = "from tests.engine.backends.worker_on_fakes import main"
        script = SCRIPT.replace(fakes, "from tests.node.benching.direct_on_fakes import main")
        assert script != SCRIPT
        monkeypatch.setattr(link, "COMMAND", ["-c", SCRIPT])
        monkeypatch.setattr(floor, "COMMAND", ["-c", script])
        monkeypatch.setattr(probing, "is_installed", lambda _: True)
        monkeypatch.setattr(choosing, "has_card", lambda: True)

    async def test_the_loop_has_the_backend_that_the_node_would_choose_and_names_it(self, tmp_path: Path) -> None:
        settings = Settings(memory=1 << 30, engines=tmp_path / "engines", max_rows=8, length=16)
        first, *_ = await rows_of(mlp(), pool(MLP, {}), settings)
        assert (first["backend"].split()[0], first["backend"].endswith("on FAKE card")) == ("tensorrt", True)
        assert first["runs"] > 0
        assert first["passed"] == {}
        kept = Settings(memory=1 << 30, backend="onnxruntime-cpu")
        assert (await rows_of(mlp(), pool(MLP, {}), kept))[0]["backend"].endswith("on cpu")

    async def test_what_the_best_one_refuses_the_next_one_runs_and_both_are_named(self) -> None:
        specs = [
            TensorSpec(name="text", datatype="BYTES", shape=("N",)),
            TensorSpec(name="x", datatype="FP64", shape=("dim_1", "dim_0")),
            TensorSpec(name="flag", datatype="BOOL", shape=(2,)),
        ]
        single, *_ = await rows_of(text_and_many(), pool(specs, {}), Settings(memory=1 << 30))
        assert "tensorrt" in single["passed"]
        assert single["backend"].startswith("onnxruntime ")
