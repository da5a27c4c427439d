"""What a model may not hold, looked for before the runtime sees it: files it hides, and other people's native code.

The walk follows the message types themselves, not a list of the places that we remember: an external tensor hides in
an initialiser, a sparse one, an attribute, a subgraph, a function, a training graph, or whatever comes next. Only the
main graph's own initialisers may be external (see `external`): they alone reach the runtime without a file system.
Worker side. Source: onnx.proto; the `location` of external data is a path that the runtime would open.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from .bounds import MAX_NESTING, MAX_NODES
from .errors import ModelRefused
from .external import Span, is_external, paths_of, span_of

# The standard's, and the operators built into ONNX Runtime itself. A model's own functions are ONNX again.
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
_TENSOR, _NODE = onnx.TensorProto.DESCRIPTOR.full_name, onnx.NodeProto.DESCRIPTOR.full_name


def parse(data: bytes) -> tuple[Any, list[Span]]:
    """The ModelProto in `data`, screened, and its external tensors; their files are neither needed nor looked at.

    ModelRefused with the sentence that says what is in the way.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise ModelRefused("this is not an ONNX model (its protobuf does not parse); export it again") from error
    if not model.HasField("graph") or not model.graph.output:
        raise ModelRefused("this is not an ONNX model: it has no graph with outputs; export it again")
    return model, screen(model)


def screen(model: Any) -> list[Span]:
    """The external tensors of `model`; ModelRefused when it hides any, names native code, or is beyond the bounds."""
    graph = model.graph  # one object from here on, so that `is` finds it again
    spans = [span_of(tensor) for tensor in graph.initializer if is_external(tensor)]
    paths_of(spans)
    domains = _DOMAINS | {function.domain for function in model.functions}
    nodes = 0
    stack: list[tuple[Any, int]] = [(model, 0)]
    while stack:
        message, depth = stack.pop()
        if depth > MAX_NESTING:
            raise ModelRefused(f"the model's graphs are nested deeper than {MAX_NESTING} messages; flatten them")
        kind = message.DESCRIPTOR
        if kind.full_name == _TENSOR:
            if is_external(message):
                raise _hidden(message)
            continue
        if kind.full_name == _NODE:
            nodes += 1
            if nodes > MAX_NODES:
                raise ModelRefused(f"the model has more than {MAX_NODES} nodes; simplify it")
            _screen_node(message, domains)
        for name, repeated in _ways_down(kind):
            if message is graph and name == "initializer":
                continue  # looked at above
            if repeated:
                stack.extend((child, depth + 1) for child in getattr(message, name))
            elif message.HasField(name):
                stack.append((getattr(message, name), depth + 1))
    return spans


def _hidden(tensor: Any) -> ModelRefused:
    return ModelRefused(
        f"tensor {tensor.name[:80]!r} keeps its data in another file, which only the main graph's initialisers may; "
        "save the model with its weights inside (onnx.save_model with save_as_external_data=False)"
    )


def _screen_node(node: Any, domains: set[str]) -> None:
    what = f"operator {node.op_type[:80]!r} of domain {node.domain[:80]!r}"
    if node.op_type == "EPContext":
        raise ModelRefused(f"{what} holds compiled native code; export the model for no particular hardware")
    if node.domain not in domains:
        raise ModelRefused(f"{what} needs a custom library, which is never loaded; export with standard operators")


@cache
def _ways_down(kind: Descriptor) -> tuple[tuple[str, bool], ...]:
    """The fields of `kind` (name, whether repeated) through which a tensor or a node can be reached."""
    return tuple(
        (field.name, field.is_repeated)
        for field in kind.fields
        if field.message_type is not None and _holds(field.message_type, frozenset())
    )


def _holds(kind: Descriptor, seen: frozenset[str]) -> bool:
    if kind.full_name in (_TENSOR, _NODE):
        return True
    if kind.full_name in seen:
        return False
    seen |= {kind.full_name}
    return any(f.message_type is not None and _holds(f.message_type, seen) for f in kind.fields)
