"""A small decoder with random weights over bytes: rotary positions, grouped queries, a cache, RMS norms.

It says nothing sensible and is real in every other way: opset 23's own Attention, RotaryEmbedding, RMSNormalization.
`python -m bench.models.decoder FOLDER` writes it, with its context and its end in config.json.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h

END = 256  # the vocabulary is the bytes and this one
VOCABULARY = END + 1
CONTEXT = 512
HEAD = 16  # numbers of one head

CLASSIC = ("past_key_values.{}.{}", "present.{}.{}")
UNDERSCORED = ("past_{1}_{0}", "present_{1}_{0}")


@dataclass(frozen=True)
class Shape:
    """How large it is, what varies between exporters, and what goes wrong in it."""

    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    names: tuple[str, str] = CLASSIC
    mask: bool = True
    positions: bool = True
    ids: int = T.INT64
    cache: str = "as it should be"  # or how it lies: "short", "long", "wide"
    context: int = CONTEXT
    not_a_number_after: int | None = None  # positions from here on give NaN

    @property
    def width(self) -> int:
        """Numbers of one position between two layers."""
        return self.heads * HEAD


class _Graph:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(11)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def weight(self, name: str, *shape: int) -> str:
        values = self.rng.standard_normal(shape) / np.sqrt(shape[0])
        return self.constant(name, (values if len(shape) > 1 else 1 + values / 10).astype(np.float32))

    def constant(self, name: str, values: Any) -> str:
        array = np.asarray(values)
        kind = h.np_dtype_to_tensor_dtype(array.dtype)
        self.weights.append(h.make_tensor(name, kind, array.shape, array.tobytes(), raw=True))
        return name

    def node(self, op: str, inputs: list[str], output: str, *more: str, **attributes: Any) -> str:
        self.nodes.append(h.make_node(op, inputs, [output, *more], **attributes))
        return output


def decoder(shape: Shape | None = None) -> Any:
    """The ModelProto; by default as Hugging Face's exporter names things."""
    shape = shape or Shape()
    g = _Graph()
    value = h.make_tensor_value_info
    inputs = [value("input_ids", shape.ids, ["batch", "seq"])]
    outputs = [value("logits", T.FLOAT, ["batch", "seq", VOCABULARY])]
    if shape.mask:
        inputs.append(value("attention_mask", T.INT64, ["batch", "total"]))
    positions = "position_ids"
    if shape.positions:
        inputs.append(value(positions, T.INT64, ["batch", "seq"]))
    else:
        positions = _count_positions(g, shape.names[0].format(0, "key"))
    angles = np.arange(shape.context)[:, None] / 10_000 ** (np.arange(HEAD // 2) * 2 / HEAD)
    cos, sin = (g.constant(n, f(angles).astype(np.float32)) for n, f in (("cos", np.cos), ("sin", np.sin)))
    x = g.node("Gather", [g.weight("embedding", VOCABULARY, shape.width), "input_ids"], "embedded")
    mask = _mask(g) if shape.mask else ""
    for i in range(shape.layers):
        past = [shape.names[0].format(i, what) for what in ("key", "value")]
        present = [shape.names[1].format(i, what) for what in ("key", "value")]
        inputs += [value(p, T.FLOAT, ["batch", shape.kv_heads, "past", HEAD]) for p in past]
        outputs += [value(p, T.FLOAT, ["batch", shape.kv_heads, "total", HEAD]) for p in present]
        x = _layer(g, shape, i, x, (cos, sin, positions), mask, past, [f"true_{p}" for p in present])
        for name in present:
            _tell(g, name, shape.cache)
    x = g.node("RMSNormalization", [x, g.weight("last_norm", shape.width)], "normed")
    logits = g.node("MatMul", [x, g.weight("head", shape.width, VOCABULARY)], "true_logits")
    scale = g.constant("scale", np.float32(4))
    if shape.not_a_number_after is None:
        g.node("Mul", [logits, scale], "logits")
    else:
        late = g.node("GreaterOrEqual", [positions, g.constant("late", np.int64(shape.not_a_number_after))], "is_late")
        late = g.node("Unsqueeze", [late, g.constant("last_axis", np.array([2]))], "is_late_3")
        g.node("Where", [late, g.constant("nan", np.float32(np.nan)), logits], "logits")
    graph = h.make_graph(g.nodes, "decoder", inputs, outputs, initializer=g.weights)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 23)], ir_version=11)


def _layer(
    g: _Graph,
    shape: Shape,
    i: int,
    x: str,
    rotary: tuple[str, str, str],
    mask: str,
    past: list[str],
    present: list[str],
) -> str:
    p, width, kv_width = f"l{i}_", shape.width, shape.kv_heads * HEAD
    normed = g.node("RMSNormalization", [x, g.weight(p + "norm1", width)], p + "n1")
    q = g.node("MatMul", [normed, g.weight(p + "wq", width, width)], p + "q")
    k = g.node("MatMul", [normed, g.weight(p + "wk", width, kv_width)], p + "k")
    v = g.node("MatMul", [normed, g.weight(p + "wv", width, kv_width)], p + "v")
    q = g.node("RotaryEmbedding", [q, *rotary], p + "qr", num_heads=shape.heads)
    k = g.node("RotaryEmbedding", [k, *rotary], p + "kr", num_heads=shape.kv_heads)
    y = g.node(
        "Attention",
        [q, k, v, mask, *past],
        p + "a",
        *present,
        is_causal=1,
        q_num_heads=shape.heads,
        kv_num_heads=shape.kv_heads,
    )
    y = g.node("MatMul", [y, g.weight(p + "wo", width, width)], p + "o")
    x = g.node("Add", [x, y], p + "x1")
    normed = g.node("RMSNormalization", [x, g.weight(p + "norm2", width)], p + "n2")
    up = g.node("MatMul", [normed, g.weight(p + "up", width, 2 * width)], p + "u")
    up = g.node("Gelu", [up], p + "ug")
    down = g.node("MatMul", [up, g.weight(p + "down", 2 * width, width)], p + "d")
    return g.node("Add", [x, down], p + "x2")


def _count_positions(g: _Graph, past: str) -> str:
    """The positions of the new tokens, from the cache's own length: [batch, seq]."""
    one = g.constant("one", np.int64(1))
    length = g.node("Gather", [g.node("Shape", [past], "past_shape"), g.constant("two", np.int64(2))], "past_length")
    ids_shape = g.node("Shape", ["input_ids"], "ids_shape")
    end = g.node("Add", [length, g.node("Gather", [ids_shape, one], "new_length")], "end_position")
    row = g.node("Unsqueeze", [g.node("Range", [length, end, one], "row"), g.constant("axis", np.array([0]))], "rows")
    return g.node("Expand", [row, ids_shape], "counted_positions")


def _mask(g: _Graph) -> str:
    """[batch, total] of 0 and 1 as Attention wants it: [batch, 1, seq, total] of bool."""
    flags = g.node("Cast", ["attention_mask"], "mask_bool", to=T.BOOL)
    flags = g.node("Unsqueeze", [flags, g.constant("mask_axes", np.array([1, 2]))], "mask_row")
    seq = g.node("Shape", ["input_ids"], "mask_seq", start=1, end=2)
    one = g.constant("mask_one", np.array([1]))
    return g.node("Expand", [flags, g.node("Concat", [one, one, seq, one], "mask_shape", axis=0)], "mask")


def _tell(g: _Graph, name: str, how: str) -> None:
    """The cache that the layer made, as it is or as a lie about its shape."""
    true = f"true_{name}"
    if how == "short":
        bounds = [g.constant(f"{name}_{n}", np.array([v])) for n, v in (("from", 1), ("to", 2**31), ("axis", 2))]
        g.node("Slice", [true, *bounds], name)
    elif how in ("long", "wide"):
        g.node("Concat", [true, true], name, axis=2 if how == "long" else 3)
    else:
        g.node("Identity", [true], name)


def main(arguments: list[str]) -> None:
    """The command."""
    if len(arguments) != 1:
        sys.exit("python -m bench.models.decoder FOLDER")
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(decoder().SerializeToString())
    (folder / "config.json").write_text(json.dumps({"eos_token_id": END, "max_position_embeddings": CONTEXT}))
    print(f"written: {folder}/model.onnx, {folder}/config.json")


if __name__ == "__main__":
    main(sys.argv[1:])
