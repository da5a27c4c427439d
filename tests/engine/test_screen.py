"""What is refused before a runtime sees the model, and what signature is read from one that is not."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
from onnx import TensorProto as T
from onnx import helper as h

from engine import bounds, screen
from engine.errors import ModelRefused
from engine.signature import describe

from .models import build, hiding_places, mlp, text_and_many, value

X, Y = value("x", T.FLOAT, [1]), value("y", T.FLOAT, [1])


@pytest.mark.parametrize("place", sorted(hiding_places()))
def test_an_external_tensor_is_found_wherever_it_hides(place: str) -> None:
    data = hiding_places()[place].SerializeToString()
    if place == "initialiser":  # the one place where it may stand
        assert [span.path for span in screen.parse(data)[1]] == ["secret.bin"]
        return
    with pytest.raises(ModelRefused, match="another file"):
        screen.parse(data)


def test_native_code_is_refused_and_the_models_own_functions_are_not() -> None:
    def with_node(op: str, domain: str) -> Any:
        return build([X], [Y], [h.make_node(op, ["x"], ["y"], domain=domain)])

    for domain in ("com.microsoft", "", "stranger"):
        with pytest.raises(ModelRefused, match="native code"):
            screen.screen(with_node("EPContext", domain))
    with pytest.raises(ModelRefused, match="custom library"):
        screen.screen(with_node("Anything", "stranger"))
    screen.screen(with_node("Gelu", "com.microsoft"))
    own = with_node("F", "own")
    own.functions.append(
        h.make_function("own", "F", ["a"], ["b"], [h.make_node("Neg", ["a"], ["b"])], [h.make_opsetid("", 21)])
    )
    screen.screen(own)
    own.functions[0].node[0].domain = "stranger"
    with pytest.raises(ModelRefused, match="custom library"):
        screen.screen(own)


def test_what_is_not_onnx_is_refused() -> None:
    good = mlp().SerializeToString()
    noise = random.Random(3)
    for data in (b"", b"\0", b"ORTM" * 99, b"GIF89a" + good, good[: len(good) // 2], noise.randbytes(4000)):
        with pytest.raises(ModelRefused, match="not an ONNX model"):
            screen.parse(data)


def test_bytes_at_random_places_never_give_another_error() -> None:
    good = text_and_many().SerializeToString()
    noise = random.Random(4)
    for _ in range(400):
        data = bytearray(good)
        for _ in range(noise.randint(1, 4)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        with suppress(ModelRefused):
            describe(screen.parse(bytes(data))[0], {})


def test_depth_and_nodes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = h.make_graph([h.make_node("Neg", ["x"], ["y"])], "g", [X], [Y])
    for _ in range(bounds.MAX_NESTING // 3 + 1):
        graph = h.make_graph([h.make_node("If", ["x"], ["y"], then_branch=graph)], "g", [X], [Y])
    with pytest.raises(ModelRefused, match="nested deeper"):
        screen.screen(h.make_model(graph))
    monkeypatch.setattr(screen, "MAX_NODES", 2)
    with pytest.raises(ModelRefused, match="nodes"):
        screen.screen(mlp())


def test_a_signature_keeps_names_and_gives_stable_ones() -> None:
    signature = describe(text_and_many(), {"log": [None, "dim_0"]})
    assert [(s.name, s.datatype, s.shape) for s in signature.inputs] == [
        ("text", "BYTES", ("N",)),
        ("x", "FP64", ("dim_1", "dim_0")),  # dim_0 is the model's own name, so the unnamed one is not called so
        ("flag", "BOOL", (2,)),
    ]
    assert signature.outputs[1].shape == ("dim_2", "dim_0")
    assert signature.opset == 21


def test_weights_that_are_listed_as_inputs_are_no_inputs() -> None:
    model = mlp()
    model.graph.input.append(value("a", T.FLOAT, [16, 32]))
    assert [s.name for s in describe(model, {}).inputs] == ["x"]


def test_what_tensors_cannot_hold_is_refused_with_a_sentence() -> None:
    nodes = [h.make_node("Neg", ["x"], ["y"])]
    sequence = h.make_tensor_sequence_value_info("x", T.FLOAT, [1])
    cases: list[tuple[Any, str]] = [
        (build([sequence], [Y], nodes), "no plain tensor"),
        (build([value("x", T.FLOAT8E4M3FN, [1])], [Y], nodes), "FLOAT8E4M3FN, which cannot be sent; cast it"),
        (build([value("x", T.INT4, [1])], [Y], nodes), "INT4, which cannot be sent; cast it"),
        (build([value("x", 99, [1])], [Y], nodes), "type 99"),
        (build([value("x", T.FLOAT, None)], [Y], nodes), "declares no shape"),
        (build([value("x", T.FLOAT, [1] * 9)], [Y], nodes), "9 dims"),
        (build([value("x", T.FLOAT, [2**41])], [Y], nodes), "cannot be described"),
        (build([value("x" * 300, T.FLOAT, [1])], [Y], nodes), "cannot be described"),
        (build([value(f"x{i}", T.FLOAT, [1]) for i in range(65)], [Y], nodes), "65 inputs"),
        (build([X, X], [Y], nodes), "share one name"),
    ]
    others_alone = build([X], [Y], nodes)
    del others_alone.opset_import[:]
    others_alone.opset_import.add(domain="ai.onnx.ml", version=5)
    assert describe(others_alone, {}).opset == 0  # it uses none of the standard operators
    no_opset = build([X], [Y], nodes)
    del no_opset.opset_import[:]
    for model, match in [*cases, (no_opset, "version")]:
        with pytest.raises(ModelRefused, match=match):
            describe(model, {})
