"""Which interface a graph is served by, and its signature then."""

from __future__ import annotations

import pytest

from engine.errors import ModelRefused
from engine.interface import interface_of, served
from engine.messages import Signature
from wire.generation import generator_signature
from wire.tensors import DataType, TensorSpec

TOKENS = ["input_ids", "attention_mask", "token_type_ids"]


def graph(names: list[str], datatype: DataType = "INT64", outputs: tuple[str, ...] = ("y",)) -> Signature:
    inputs = tuple(
        TensorSpec(name=n, datatype="FP32", shape=("b", 2, "past", 8))
        if n.startswith("past")
        else TensorSpec(name=n, datatype=datatype, shape=("b", "s"))
        for n in names
    )
    shapes = {"logits": ("b", "s", 9), "present_0": ("b", 2, "total", 8)}
    made = tuple(TensorSpec(name=n, datatype="FP32", shape=shapes.get(n, ("b", 4))) for n in outputs)
    return Signature(inputs=inputs, outputs=made, opset=21)


DECODER = graph(["input_ids", "past_0"], outputs=("logits", "present_0"))


def test_the_interface_follows_from_the_graph_and_its_files() -> None:
    files = ["model.onnx", "tokenizer.json"]
    assert interface_of(DECODER, []) == interface_of(DECODER, files) == "generate"
    assert interface_of(graph(TOKENS), files) == interface_of(graph(TOKENS[:1]), files) == "text"
    assert interface_of(graph(TOKENS), ["model.onnx", "sub/tokenizer.json"]) == "tensors"
    assert interface_of(graph(TOKENS, "INT32"), files) == "tensors"
    assert interface_of(graph([*TOKENS, "position_ids"]), files) == "tensors"
    assert interface_of(graph(TOKENS[1:]), files) == "tensors"
    assert interface_of(graph(["x"]), files) == "tensors"


def test_what_is_served_has_its_own_signature() -> None:
    assert served(DECODER, "tensors", []) is DECODER
    assert served(DECODER, "generate", []).inputs == generator_signature(has_text=False)[0]
    spoken = served(DECODER, "generate", ["tokenizer.json"])
    assert (spoken.inputs, spoken.outputs) == generator_signature(has_text=True)
    reads = served(graph(TOKENS), "text", ["tokenizer.json"])
    assert reads.inputs == (TensorSpec(name="text", datatype="BYTES", shape=("batch",)),)
    assert reads.outputs == graph(TOKENS).outputs


@pytest.mark.parametrize(
    ("model", "interface", "files", "match"),
    [
        (graph(TOKENS), "text", [], "tokenizer.json beside it"),
        (graph(["x"]), "text", ["tokenizer.json"], "takes input_ids"),
        (graph(TOKENS), "generate", ["tokenizer.json"], "logits"),
    ],
)
def test_an_interface_that_does_not_fit_is_refused(
    model: Signature, interface: str, files: list[str], match: str
) -> None:
    with pytest.raises(ModelRefused, match=match):
        served(model, interface, files)  # type: ignore[arg-type]
