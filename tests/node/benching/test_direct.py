"""The direct loop: its figures by hand, and its process with real models."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import pytest

from engine import EngineError, ModelFile, sealed
from node.benching import bounds
from node.benching.direct import summarise
from node.benching.floor import run_direct
from node.benching.inputs import WIDE, draw, sizes
from tests.engine.models import file_reader, mlp, text_and_many
from wire.tensors import Tensor, TensorSpec

MLP = [TensorSpec(name="x", datatype="FP32", shape=("N", 16))]


def pool(specs: list[TensorSpec], dims: dict[str, int], count: int = 3) -> list[list[Tensor]]:
    return [draw(bytes(32), number, specs, sizes(specs, dims), WIDE) for number in range(count)]


async def rows_of(model: Any, requests: Sequence[Sequence[Tensor]]) -> list[dict[str, Any]]:
    def open_files() -> list[ModelFile]:
        return [ModelFile("model.onnx", sealed([model.SerializeToString()]))]

    return await run_direct(open_files, "tensors", requests, 0.05, 1, lambda _: None)


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
