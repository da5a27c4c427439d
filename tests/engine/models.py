"""Small models for the engine's tests, good and bad, built with onnx.helper."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for the direct sessions that tests compare with; before the first import

value = h.make_tensor_value_info


def build(inputs: list[Any], outputs: list[Any], nodes: list[Any], **graph: Any) -> Any:
    imports = [h.make_opsetid("", 21), h.make_opsetid("com.microsoft", 1), h.make_opsetid("stranger", 1)]
    return h.make_model(h.make_graph(nodes, "g", inputs, outputs, **graph), opset_imports=imports, ir_version=10)


def mlp() -> Any:
    rng = np.random.default_rng(7)
    weights = [
        h.make_tensor(n, T.FLOAT, s, rng.standard_normal(s).astype(np.float32).tobytes(), raw=True)
        for n, s in (("a", (16, 32)), ("b", (32, 4)))
    ]
    nodes = [
        h.make_node("MatMul", ["x", "a"], ["h"]),
        h.make_node("Tanh", ["h"], ["t"]),
        h.make_node("MatMul", ["t", "b"], ["y"]),
    ]
    return build([value("x", T.FLOAT, ["N", 16])], [value("y", T.FLOAT, ["N", 4])], nodes, initializer=weights)


def text_and_many() -> Any:
    """Strings, several types, unnamed and named dims; two inputs more than outputs."""
    nodes = [
        h.make_node("Identity", ["text"], ["same"]),
        h.make_node("Log", ["x"], ["log"]),
        h.make_node("Not", ["flag"], ["no"]),
    ]
    inputs = [value("text", T.STRING, ["N"]), value("x", T.DOUBLE, [None, "dim_0"]), value("flag", T.BOOL, [2])]
    outputs = [value("same", T.STRING, ["N"]), value("log", T.DOUBLE, None), value("no", T.BOOL, [2])]
    return build(inputs, outputs, nodes)


def trouble() -> Any:
    """`turns` iterations of a Loop, then a tensor of `size` floats: as bad as its caller wishes, and tame on zeros."""
    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["go_on"]), h.make_node("Add", ["v", "v"], ["w"])],
        "body",
        [value("i", T.INT64, []), value("go", T.BOOL, []), value("v", T.FLOAT, [])],
        [value("go_on", T.BOOL, []), value("w", T.FLOAT, [])],
    )
    nodes = [
        h.make_node("Loop", ["turns", "", "zero"], ["looped"], body=body),
        h.make_node("ConstantOfShape", ["size"], ["block"]),
        h.make_node("ReduceSum", ["block"], ["sum"], keepdims=0),
        h.make_node("Add", ["looped", "sum"], ["y"]),
    ]
    inputs = [value("turns", T.INT64, []), value("size", T.INT64, [1])]
    return build(inputs, [value("y", T.FLOAT, [])], nodes, initializer=[h.make_tensor("zero", T.FLOAT, [], [0.0])])


def external(size: int = 4, location: str = "secret.bin") -> Any:
    tensor = T(name="weight", data_type=T.FLOAT, dims=[size], data_location=T.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def file_reader() -> Any:
    """x plus the 2048 floats in secret.bin; ONNX Runtime really reads such a file when it is large enough."""
    x, y = value("x", T.FLOAT, [2048]), value("y", T.FLOAT, [2048])
    return build([x], [y], [h.make_node("Add", ["x", "weight"], ["y"])], initializer=[external(2048)])


def hiding_places() -> dict[str, Any]:
    """A model for each place where an external tensor can hide."""
    x, y = value("x", T.FLOAT, [4]), value("y", T.FLOAT, [4])
    add = h.make_node("Add", ["x", "weight"], ["y"])
    identity = h.make_node("Identity", ["x"], ["y"])
    plain = h.make_tensor("p", T.FLOAT, [1], [1.0])
    indices = h.make_tensor("i", T.INT64, [1], [0])

    def constant(**attribute: Any) -> Any:
        return h.make_node("Constant", [], ["weight"], **attribute)

    def sparse(values: Any, at: Any) -> Any:
        return onnx.SparseTensorProto(values=values, indices=at, dims=[4])

    inner = h.make_graph([constant(value=external())], "inner", [], [value("weight", T.FLOAT, [4])])
    branch = h.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    models = {
        "initialiser": build([x], [y], [add], initializer=[external()]),
        "sparse values": build([x], [y], [add], sparse_initializer=[sparse(external(), indices)]),
        "sparse indices": build([x], [y], [add], sparse_initializer=[sparse(plain, external())]),
        "attribute": build([x], [y], [constant(value=external()), add]),
        "sparse attribute": build([x], [y], [constant(sparse_value=sparse(external(), indices)), add]),
        "tensor list": build([x], [y], [h.make_node("Custom", ["x"], ["y"], many=[plain, external()])]),
        "subgraph": build([x, value("c", T.BOOL, [])], [y], [branch]),
        "graph list": build([x], [y], [h.make_node("Custom", ["x"], ["y"], graphs=[inner, inner])]),
    }
    function = h.make_function("own", "F", ["a"], ["b"], [constant(value=external())], [h.make_opsetid("", 21)])
    models["function"] = build([x], [y], [identity])
    models["function"].functions.append(function)
    models["function attribute"] = build([x], [y], [identity])
    defaults = models["function attribute"].functions.add(name="F", domain="own").attribute_proto.add(name="t", type=4)
    defaults.t.CopyFrom(external())
    models["training"] = build([x], [y], [identity])
    models["training"].training_info.add().algorithm.initializer.append(external())
    models["only an address"] = build([x], [y], [add], initializer=[external()])
    models["only an address"].graph.initializer[0].data_location = T.DEFAULT
    models["memory address"] = build([x], [y], [add], initializer=[external(location="*/_ORT_MEM_ADDR_/*")])
    return models


def magika_model() -> bytes:
    import magika

    return (Path(magika.__file__).parent / "models/standard_v3_3/model.onnx").read_bytes()
