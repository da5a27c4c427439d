"""`model add --example`: a model that takes no made-up input is published with one that it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx import TensorProto as T
from onnx import helper as h

from tests.engine.models import build, value
from wire.example import EXAMPLE, read_example

from .commands import Hallmark


@pytest.fixture
def reshaper(tmp_path: Path) -> Path:
    """A model that has its output's shape from an input: six elements fit no shape of zeros or ones."""
    inputs = [value("x", T.FLOAT, [6]), value("shape", T.INT64, [2])]
    outputs = [value("y", T.FLOAT, ["a", "b"])]
    path = tmp_path / "reshaper.onnx"
    path.write_bytes(build(inputs, outputs, [h.make_node("Reshape", ["x", "shape"], ["y"])]).SerializeToString())
    return path


def test_it_travels_with_the_model_and_is_the_first_run(hallmark: Hallmark, reshaper: Path, tmp_path: Path) -> None:
    assert hallmark("init").code == 0
    words = ["model", "add", reshaper, "--name", "reshaper", "--licence", "MIT"]
    refused = hallmark(*words)
    assert refused.code == 9
    assert "publish it with an example: hallmark model add --example NAME=VALUE" in refused.err
    example = ["--example", f"x={json.dumps([0, 1, 2, 3, 4, 5])}", "--example", "shape=[2, 3]"]
    added = hallmark(*words, *example)
    assert added.code == 0, added.err
    assert "in 2 files" in added.out
    assert hallmark("model", "export", "reshaper", tmp_path / "out").code == 0
    x, shape = read_example((tmp_path / "out" / EXAMPLE).read_bytes())
    assert (x.header.shape, shape.header.shape) == ((6,), (2,))
    cid = hallmark("model", "show", "reshaper", "--json").lines[-1]["cid"]
    again = hallmark(*words, *example, "--json").lines[-1]
    assert (again["cid"], again["new"]) == (cid, False)


@pytest.mark.parametrize(
    ("example", "code", "sentence"),
    [
        (["x=[1, 2, 3, 4, 5, 6]"], 2, "The model wants: x (FP32 [6]), shape (INT64 [2])"),
        (["x=[1]", "shape=[1, 1]"], 2, "the model has [6]"),
        (["x=@nowhere.npy", "shape=[1, 1]"], 5, "cannot be read"),
        (["x=[1, 2, 3, 4, 5, 6]", "shape=[4, 4]"], 9, "the model failed on the example that it brings"),
    ],
    ids=["too few", "another shape", "no file", "it fails"],
)
def test_one_that_does_not_hold_is_told_and_nothing_is_published(
    example: list[str], code: int, sentence: str, hallmark: Hallmark, reshaper: Path
) -> None:
    assert hallmark("init").code == 0
    words = [word for text in example for word in ("--example", text)]
    ran = hallmark("model", "add", reshaper, "--name", "reshaper", "--licence", "MIT", *words)
    assert ran.code == code, ran.err
    assert sentence in " ".join(ran.err.split())
    assert hallmark("model", "ls", "--json").lines[-1]["models"] == []


def test_a_model_that_is_asked_nothing_is_not_published(hallmark: Hallmark, tmp_path: Path) -> None:
    constant = h.make_node("Constant", [], ["y"], value=h.make_tensor("c", T.FLOAT, [1], [1.0]))
    path = tmp_path / "constant.onnx"
    path.write_bytes(build([], [value("y", T.FLOAT, [1])], [constant]).SerializeToString())
    assert hallmark("init").code == 0
    ran = hallmark("model", "add", path, "--name", "constant", "--licence", "MIT")
    assert ran.code == 9
    assert "takes no inputs" in ran.err
