"""A plain decoder's graph as other exporters would write it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from onnx import TensorProto as T
from onnx import helper as h


def merged(model: Any) -> Any:
    """Two decoders in one graph: `use_cache_branch` chooses the one that reads its cache, or the one that does not."""
    graph = model.graph
    pasts = [value for value in graph.input if value.name.startswith("past")]
    outputs = [value.name for value in graph.output]
    within = {name: f"{name}_within" for name in outputs}

    def branch(name: str, *, cached: bool) -> Any:
        nodes, ends = list(deepcopy(graph.node)), list(deepcopy(graph.output))
        if not cached:
            for past in pasts:
                dims = [1, *(d.dim_value for d in past.type.tensor_type.shape.dim[1:])]  # the time is 0
                none = h.make_tensor("none", T.FLOAT, dims, b"", raw=True)
                nodes.insert(0, h.make_node("Constant", [], [f"no_{past.name}"], value=none))
        _rename(nodes, within | ({} if cached else {past.name: f"no_{past.name}" for past in pasts}))
        for value in ends:
            value.name = within[value.name]
        return h.make_graph(nodes, name, [], ends)

    choice = h.make_node("If", ["use_cache_branch"], outputs)
    choice.attribute.extend(
        [
            h.make_attribute("then_branch", branch("with_a_cache", cached=True)),
            h.make_attribute("else_branch", branch("without", cached=False)),
        ]
    )
    inputs = [*graph.input, h.make_tensor_value_info("use_cache_branch", T.BOOL, [1])]
    found = h.make_graph([choice], "merged", inputs, list(graph.output), initializer=list(graph.initializer))
    return h.make_model(found, opset_imports=list(model.opset_import), ir_version=model.ir_version)


def cached_as(model: Any, kind: int) -> Any:
    """With keys and values kept in another type than they are computed in."""
    found = deepcopy(model)
    graph = found.graph
    pasts = [value for value in graph.input if value.name.startswith("past")]
    presents = [value for value in graph.output if value.name.startswith("present")]
    nodes = list(graph.node)
    _rename(nodes, {value.name: f"{value.name}_wide" for value in (*pasts, *presents)})
    for value in (*pasts, *presents):
        value.type.tensor_type.elem_type = kind
    widened = [h.make_node("Cast", [v.name], [f"{v.name}_wide"], to=T.FLOAT) for v in pasts]
    narrowed = [h.make_node("Cast", [f"{v.name}_wide"], [v.name], to=kind) for v in presents]
    nodes = [*widened, *nodes, *narrowed]
    del graph.node[:]
    graph.node.extend(nodes)
    return found


def _rename(nodes: list[Any], names: Mapping[str, str]) -> None:
    for node in nodes:
        for values in (node.input, node.output):
            for i, name in enumerate(values):
                values[i] = names.get(name, name)
