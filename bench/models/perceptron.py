"""A multilayer perceptron with ReLU and made-up weights: what a circuit can hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx import helper as h


def save_perceptron(path: Path, sizes: Sequence[int]) -> int:
    """Write the model, float [N, sizes[0]] → float [N, sizes[-1]]; the number of its parameters."""
    rng = np.random.default_rng(7)
    nodes, weights, at = [], [], "x"
    for layer, (into, out) in enumerate(pairwise(sizes)):
        last = layer == len(sizes) - 2
        drawn = (rng.standard_normal((into, out)) / np.sqrt(into)).astype(np.float32)
        bias = (rng.standard_normal(out) / 10).astype(np.float32)
        weights += [numpy_helper.from_array(drawn, f"w{layer}"), numpy_helper.from_array(bias, f"b{layer}")]
        nodes.append(h.make_node("MatMul", [at, f"w{layer}"], [f"m{layer}"]))
        nodes.append(h.make_node("Add", [f"m{layer}", f"b{layer}"], ["y" if last else f"a{layer}"]))
        if not last:
            nodes.append(h.make_node("Relu", [f"a{layer}"], [f"r{layer}"]))
            at = f"r{layer}"
    x = h.make_tensor_value_info("x", TensorProto.FLOAT, ["N", sizes[0]])
    y = h.make_tensor_value_info("y", TensorProto.FLOAT, ["N", sizes[-1]])
    graph = h.make_graph(nodes, "perceptron", [x], [y], initializer=weights)
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), str(path))
    return sum((into + 1) * out for into, out in pairwise(sizes))
