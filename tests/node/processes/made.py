"""The models of these tests, each as bad as its test needs, and tensors for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx import helper as h

from tests.engine.models import build, file_reader, trouble, value
from wire.arrays import from_array
from wire.tensors import Tensor

ROW = [1.0, 2.0, 3.0, 4.0]
NO_LOGARITHM = [-1.0, 2.0, 3.0, 4.0]


def save(model: object, path: Path) -> Path:
    """Write an ONNX model to a file."""
    path.write_bytes(model.SerializeToString())  # type: ignore[attr-defined]  # onnx comes without types
    return path


def logarithm(add: float = 0.0) -> object:
    """y = log(x) + add, with NaN where x is below zero. `add` makes models differ."""
    x, y = value("x", TensorProto.FLOAT, ["N", 4]), value("y", TensorProto.FLOAT, ["N", 4])
    plus = h.make_tensor("plus", TensorProto.FLOAT, [1], [add])
    nodes = [h.make_node("Log", ["x"], ["l"]), h.make_node("Add", ["l", "plus"], ["y"])]
    return build([x], [y], nodes, initializer=[plus])


def row(values: list[float] = ROW) -> Tensor:
    """One row of inputs for `logarithm`."""
    return from_array("x", np.array([values], dtype=np.float32))


def slow() -> object:
    """As many turns of a loop as the input `turns` says, then `size` floats: see `tests.engine.models.trouble`."""
    return trouble()


def large(megabytes: int) -> object:
    """A model whose file has about that many MiB of weights that do not repeat."""
    weights = np.random.default_rng(1).standard_normal((megabytes, 2**18)).astype(np.float32)
    x, y = value("x", TensorProto.FLOAT, ["N", megabytes]), value("y", TensorProto.FLOAT, ["N", 2**18])
    nodes = [h.make_node("MatMul", ["x", "w"], ["y"])]
    return build([x], [y], nodes, initializer=[numpy_helper.from_array(weights, "w")])


def endless() -> object:
    """A model whose only run never ends."""
    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["go_on"]), h.make_node("Add", ["v", "v"], ["w"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("v", TensorProto.FLOAT, [])],
        [value("go_on", TensorProto.BOOL, []), value("w", TensorProto.FLOAT, [])],
    )
    nodes = [
        h.make_node("ReduceSum", ["x"], ["start"], keepdims=0),
        h.make_node("Loop", ["", "always", "start"], ["y"], body=body),
    ]
    always = h.make_tensor("always", TensorProto.BOOL, [], [True])
    x, y = value("x", TensorProto.FLOAT, ["N"]), value("y", TensorProto.FLOAT, [])
    return build([x], [y], nodes, initializer=[always])


def greedy() -> object:
    """A model that asks for 64 GiB, whatever its input."""
    nodes = [
        h.make_node("ConstantOfShape", ["much"], ["block"]),
        h.make_node("ReduceSum", ["block"], ["sum"], keepdims=0),
        h.make_node("Add", ["x", "sum"], ["y"]),
    ]
    much = h.make_tensor("much", TensorProto.INT64, [1], [2**34])
    x, y = value("x", TensorProto.FLOAT, ["N"]), value("y", TensorProto.FLOAT, ["N"])
    return build([x], [y], nodes, initializer=[much])


def in_a_folder(folder: Path) -> Path:
    """A folder with y = x · weights, the weights (4 × 1,024) in a file beside the graph, and what travels with it."""
    weights = np.random.default_rng(5).standard_normal((4, 1024)).astype(np.float32)
    x, y = value("x", TensorProto.FLOAT, ["N", 4]), value("y", TensorProto.FLOAT, ["N", 1024])
    nodes = [h.make_node("MatMul", ["x", "w"], ["y"])]
    model = build([x], [y], nodes, initializer=[numpy_helper.from_array(weights, "w")])
    folder.mkdir()
    onnx.save_model(model, folder / "net.onnx", save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("# A model\n")
    (folder / ".cache").write_text("not meant")
    return folder


def elsewhere() -> object:
    """A model that keeps its weights in another file."""
    return file_reader()
