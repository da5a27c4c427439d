"""Models that mean harm: endless, greedy, exponential, lying. The files are small; what they ask of a host is not."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto as T
from onnx import helper as h

from wire.tensors import Tensor, join_bytes

VAST = 2**34  # floats: 64 GiB
_value = h.make_tensor_value_info
_STANDARD = ("", 21)


def build(inputs: Sequence[Any], outputs: Sequence[Any], nodes: Sequence[Any], **graph: Any) -> bytes:
    """A model's bytes. `functions` among the rest are the model's own operators, of the domain "own"."""
    functions = graph.pop("functions", [])
    imports = [h.make_opsetid(*_STANDARD)] + [h.make_opsetid("own", 1)] * bool(functions)
    made = h.make_graph(nodes, "g", inputs, outputs, **graph)
    data: bytes = h.make_model(made, opset_imports=imports, ir_version=10, functions=functions).SerializeToString()
    return data


def _ints(name: str, *values: int, rank: int = 1) -> Any:
    return h.make_tensor(name, T.INT64, [len(values)] if rank else [], values)


def _count() -> Any:
    return _value("n", T.INT64, [1])


def endless() -> bytes:
    """A Loop without a bound whose condition stays true; 300 bytes, and the checker passes it."""
    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["go_on"]), h.make_node("Add", ["v", "v"], ["w"])],
        "body",
        [_value("i", T.INT64, []), _value("go", T.BOOL, []), _value("v", T.FLOAT, [])],
        [_value("go_on", T.BOOL, []), _value("w", T.FLOAT, [])],
    )
    nodes = [
        h.make_node("ReduceSum", ["x"], ["start"], keepdims=0),
        h.make_node("Loop", ["", "always", "start"], ["y"], body=body),
    ]
    always = h.make_tensor("always", T.BOOL, [], [True])
    return build([_value("x", T.FLOAT, ["N"])], [_value("y", T.FLOAT, [])], nodes, initializer=[always])


def greedy() -> bytes:
    """64 GiB of zeros, from constants alone, in about 70 bytes."""
    nodes = [h.make_node("ConstantOfShape", ["much"], ["block"]), h.make_node("Identity", ["x"], ["y"])]
    outputs = [_value("y", T.FLOAT, ["N"]), _value("block", T.FLOAT, [None])]
    return build([_value("x", T.FLOAT, ["N"])], outputs, nodes, initializer=[_ints("much", VAST)])


def growing() -> bytes:
    """VGG19 as the `onnx` package has it: 9 KiB, whose constant weights are 936 MiB once they are made."""
    return (Path(onnx.__file__).parent / "backend/test/data/light/light_vgg19.onnx").read_bytes()


def sparse() -> bytes:
    """A sparse initialiser of one value and 64 GiB when it is written out."""
    tensor = onnx.SparseTensorProto(
        values=h.make_tensor("w", T.FLOAT, [1], [1.0]), indices=_ints("at", VAST - 1), dims=[VAST]
    )
    nodes = [h.make_node("Add", ["x", "w"], ["y"])]
    x, y = _value("x", T.FLOAT, [1]), _value("y", T.FLOAT, [None])
    return build([x], [y], nodes, sparse_initializer=[tensor])


def huge_shapes() -> bytes:
    """An initialiser that claims 2⁶² elements and brings none."""
    tensor = T(name="w", data_type=T.FLOAT, dims=[2**31, 2**31])
    nodes = [h.make_node("Add", ["x", "w"], ["y"])]
    return build([_value("x", T.FLOAT, [1])], [_value("y", T.FLOAT, [None])], nodes, initializer=[tensor])


def wide_inputs() -> bytes:
    """Whose smallest request is over any bound."""
    x = _value("x", T.FLOAT, [2**20, 2**10])
    return build([x], [_value("y", T.FLOAT, [2**20, 2**10])], [h.make_node("Identity", ["x"], ["y"])])


def nested(depth: int) -> bytes:
    """A node with a graph with a node with a graph …, written by hand: no library makes so deep a file."""
    inner = b""
    for _ in range(depth):
        attribute = b"\x0a\x01g" + _field(6, inner) + b"\xa0\x01\x05"  # name "g", the graph, type GRAPH
        inner = _field(1, b"\x22\x02If" + _field(5, attribute))  # a node of type If with this attribute
    x, y = _value("x", T.FLOAT, [1]), _value("y", T.FLOAT, [1])
    whole = onnx.load_from_string(build([x], [y], [h.make_node("Identity", ["x"], ["y"])]))
    graph = whole.graph.SerializeToString() + inner
    whole.ClearField("graph")
    return bytes(whole.SerializeToString()) + _field(7, graph)


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes, with its length before it."""
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def chain(count: int) -> bytes:
    """So many nodes, one behind the other."""
    nodes = [h.make_node("Neg", [f"x{i}"], [f"x{i + 1}"]) for i in range(count)]
    return build([_value("x0", T.FLOAT, [1])], [_value(f"x{count}", T.FLOAT, [1])], nodes)


def crowd(count: int) -> bytes:
    """So many nodes, all the same one: no graph, but that is for later to find out."""
    x, y = _value("x", T.FLOAT, [1]), _value("y", T.FLOAT, [1])
    whole = onnx.load_from_string(build([x], [y], [h.make_node("Neg", ["x"], ["y"])]))
    graph = whole.graph.SerializeToString() + _field(1, whole.graph.node[0].SerializeToString()) * count
    whole.ClearField("graph")
    return bytes(whole.SerializeToString()) + _field(7, graph)


def laughs(depth: int) -> bytes:
    """Functions that each call the next one twice: 2^depth nodes once a runtime has written them out."""
    imports = [h.make_opsetid(*_STANDARD), h.make_opsetid("own", 1)]
    functions = [h.make_function("own", f"F{depth}", ["a"], ["b"], [h.make_node("Neg", ["a"], ["b"])], imports)]
    for level in range(depth):
        calls = [h.make_node(f"F{level + 1}", [a], [b], domain="own") for a, b in (("a", "m"), ("m", "b"))]
        functions.append(h.make_function("own", f"F{level}", ["a"], ["b"], calls, imports))
    call = h.make_node("F0", ["x"], ["y"], domain="own")
    return build([_value("x", T.FLOAT, [1])], [_value("y", T.FLOAT, [1])], [call], functions=functions)


def calls(depth: int) -> bytes:
    """Functions that each call the next one once: deep enough, ONNX Runtime runs out of stack and dies by SIGSEGV."""
    imports = [h.make_opsetid(*_STANDARD), h.make_opsetid("own", 1)]
    functions = [h.make_function("own", f"F{depth}", ["a"], ["b"], [h.make_node("Neg", ["a"], ["b"])], imports)]
    for level in range(depth):
        call = h.make_node(f"F{level + 1}", ["a"], ["b"], domain="own")
        functions.append(h.make_function("own", f"F{level}", ["a"], ["b"], [call], imports))
    call = h.make_node("F0", ["x"], ["y"], domain="own")
    return build([_value("x", T.FLOAT, [1])], [_value("y", T.FLOAT, [1])], [call], functions=functions)


def recursive() -> bytes:
    """A function that calls itself."""
    imports = [h.make_opsetid(*_STANDARD), h.make_opsetid("own", 1)]
    body = [h.make_node("F", ["a"], ["b"], domain="own")]
    function = h.make_function("own", "F", ["a"], ["b"], body, imports)
    call = h.make_node("F", ["x"], ["y"], domain="own")
    return build([_value("x", T.FLOAT, [1])], [_value("y", T.FLOAT, [1])], [call], functions=[function])


def doubling() -> bytes:
    """A tensor that is as long again after each of `n` turns."""
    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["go_on"]), h.make_node("Concat", ["v", "v"], ["w"], axis=0)],
        "body",
        [_value("i", T.INT64, []), _value("go", T.BOOL, []), _value("v", T.FLOAT, [None])],
        [_value("go_on", T.BOOL, []), _value("w", T.FLOAT, [None])],
    )
    nodes = [
        h.make_node("Squeeze", ["n"], ["turns"]),
        h.make_node("Loop", ["turns", "", "one"], ["looped"], body=body),
        h.make_node("ReduceSum", ["looped"], ["y"], keepdims=0),
    ]
    one = h.make_tensor("one", T.FLOAT, [1], [1.0])
    return build([_count()], [_value("y", T.FLOAT, [])], nodes, initializer=[one])


def scans() -> bytes:
    """A Scan over `n` rows whose body runs a Loop of 10,000 turns for each of them."""
    turn = h.make_graph(
        [h.make_node("Identity", ["go"], ["go_on"]), h.make_node("Neg", ["v"], ["w"])],
        "turn",
        [_value("i", T.INT64, []), _value("go", T.BOOL, []), _value("v", T.FLOAT, [1])],
        [_value("go_on", T.BOOL, []), _value("w", T.FLOAT, [1])],
    )
    body = h.make_graph(
        [
            h.make_node("Constant", [], ["turns"], value=_ints("t", 10_000, rank=0)),
            h.make_node("Loop", ["turns", "", "state"], ["next"], body=turn),
            h.make_node("Add", ["next", "row"], ["out"]),
        ],
        "body",
        [_value("state", T.FLOAT, [1]), _value("row", T.FLOAT, [1])],
        [_value("next", T.FLOAT, [1]), _value("out", T.FLOAT, [1])],
    )
    nodes = [
        h.make_node("Concat", ["n", "width"], ["shape"], axis=0),
        h.make_node("ConstantOfShape", ["shape"], ["rows"]),
        h.make_node("Scan", ["zero", "rows"], ["last", "y"], body=body, num_scan_inputs=1),
    ]
    constants = [_ints("width", 1), h.make_tensor("zero", T.FLOAT, [1], [0.0])]
    return build([_count()], [_value("y", T.FLOAT, [None, 1])], nodes, initializer=constants)


def heavy() -> bytes:
    """One product of two `n` × `n` matrices: nothing inside it can be broken off."""
    nodes = [
        h.make_node("Concat", ["n", "n"], ["shape"], axis=0),
        h.make_node("ConstantOfShape", ["shape"], ["a"], value=h.make_tensor("v", T.FLOAT, [1], [0.5])),
        h.make_node("MatMul", ["a", "a"], ["b"]),
        h.make_node("ReduceMax", ["b"], ["y"], keepdims=0),
    ]
    return build([_count()], [_value("y", T.FLOAT, [])], nodes)


def outpouring() -> bytes:
    """As many bytes of output as `n` says."""
    nodes = [h.make_node("ConstantOfShape", ["n"], ["y"], value=h.make_tensor("v", T.UINT8, [1], [7]))]
    return build([_count()], [_value("y", T.UINT8, [None])], nodes)


def truths() -> bytes:
    """As many booleans of output as `n` says."""
    nodes = [h.make_node("ConstantOfShape", ["n"], ["y"], value=h.make_tensor("v", T.BOOL, [1], [True]))]
    return build([_count()], [_value("y", T.BOOL, [None])], nodes)


def texts() -> bytes:
    """`n` texts of one letter each."""
    nodes = [h.make_node("Expand", ["a", "n"], ["y"])]
    letter = h.make_tensor("a", T.STRING, [1], [b"a"])
    return build([_count()], [_value("y", T.STRING, [None])], nodes, initializer=[letter])


def long_text() -> bytes:
    """One text that is as long again after each of `n` turns."""
    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["go_on"]), h.make_node("StringConcat", ["v", "v"], ["w"])],
        "body",
        [_value("i", T.INT64, []), _value("go", T.BOOL, []), _value("v", T.STRING, [1])],
        [_value("go_on", T.BOOL, []), _value("w", T.STRING, [1])],
    )
    nodes = [h.make_node("Squeeze", ["n"], ["turns"]), h.make_node("Loop", ["turns", "", "a"], ["y"], body=body)]
    letter = h.make_tensor("a", T.STRING, [1], [b"a"])
    return build([_count()], [_value("y", T.STRING, [1])], nodes, initializer=[letter])


def taker(kind: int) -> bytes:
    """It takes any number of elements of a type, and says how many there were."""
    return build([_value("x", kind, ["N"])], [_value("y", T.INT64, [1])], [h.make_node("Shape", ["x"], ["y"])])


def liar() -> bytes:
    """It says that it returns one row, and returns `n`."""
    nodes = [h.make_node("ConstantOfShape", ["n"], ["y"])]
    return build([_count()], [_value("y", T.FLOAT, [1])], nodes)


def many_values() -> bytes:
    """A node with 300,000 inputs, and 64 KiB of name for what it makes."""
    name = "y" * 65_536
    nodes = [h.make_node("Sum", ["x"] * 300_000, [name]), h.make_node("Identity", [name], ["y"])]
    return build([_value("x", T.FLOAT, [1])], [_value("y", T.FLOAT, [1])], nodes)


def at_load() -> Iterator[tuple[str, bytes]]:
    """Those that harm whoever loads them, or runs them once."""
    yield "endless Loop", endless()
    yield "64 GiB in a constant", greedy()
    yield "9 KiB that grow to 936 MiB", growing()
    yield "64 GiB in a sparse weight", sparse()
    yield "a weight of 2⁶² elements", huge_shapes()
    yield "inputs of 4 GiB", wide_inputs()
    yield "30 graphs within each other", nested(30)
    yield "10,000 graphs within each other", nested(10_000)
    yield "1,000,000 nodes", crowd(1_000_000)
    yield "100,000 nodes", chain(100_000)
    yield "2⁴⁰ nodes in 40 functions", laughs(40)
    yield "a function that calls itself", recursive()
    yield "20,000 functions, each within the last", calls(20_000)
    yield "a node with 300,000 inputs", many_values()


def at_run() -> Iterator[tuple[str, bytes, Tensor]]:
    """Those that are tame on other inputs than the one beside them."""
    yield "a tensor doubled 40 times", doubling(), _so_many(40)
    yield "a Scan of Loops", scans(), _so_many(1_000_000)
    yield "one product of 20,000²", heavy(), _so_many(20_000)
    yield "10 GB of output", outpouring(), _so_many(10_000_000_000)
    yield "100 MB of output", outpouring(), _so_many(100_000_000)
    yield "67 MB of output, the most", outpouring(), _so_many(67_000_000)
    yield "67,000,000 booleans, the most", truths(), _so_many(67_000_000)
    yield "2³⁰ texts", texts(), _so_many(2**30)
    yield "10,000,000 texts", texts(), _so_many(10_000_000)
    yield "262,000 texts, the most", texts(), _so_many(262_000)
    yield "a text of 2 GiB", long_text(), _so_many(31)
    yield "a text of 256 MiB", long_text(), _so_many(28)
    yield "other shapes than it says", liar(), _so_many(3)
    yield "67,000,000 booleans of input", taker(T.BOOL), Tensor.of("x", "BOOL", (67_000_000,), b"\1" * 67_000_000)
    texts_in = Tensor.of("x", "BYTES", (262_000,), join_bytes([b"a"] * 262_000))
    yield "262,000 texts of input", taker(T.STRING), texts_in


def _so_many(n: int) -> Tensor:
    return Tensor.of("n", "INT64", (1,), struct.pack("<q", n))
