"""Requests as rows of one execution: who may be joined, and that joining and parting lose nothing."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import Signature
from engine.rows import alike, join, part, permits_rows, rows_of, same, trial_rows
from wire.bounds import MAX_TENSOR_BYTES
from wire.errors import RecordError
from wire.tensors import ITEM_SIZE, DataType, Tensor, TensorSpec, join_bytes, split_bytes


def spec(name: str, *shape: int | str, datatype: DataType = "FP32") -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def signature(inputs: list[TensorSpec], outputs: list[TensorSpec]) -> Signature:
    return Signature(inputs=tuple(inputs), outputs=tuple(outputs), opset=21)


def floats(*values: float, name: str = "y", datatype: DataType = "FP32") -> Tensor:
    pack = {"FP32": "f", "FP64": "d", "FP16": "e"}[datatype]
    return Tensor.of(name, datatype, (len(values),), struct.pack(f"<{len(values)}{pack}", *values))


@pytest.mark.parametrize(
    ("inputs", "outputs", "permitted"),
    [
        ([spec("x", "n", 3)], [spec("y", "n")], True),
        ([spec("x", "n", 3), spec("z", "n", "m")], [spec("y", "n", "m")], True),
        ([spec("x", "n", 3)], [spec("y", "m")], False),
        ([spec("x", "n", 3)], [spec("y")], False),
        ([spec("x", 1, 3)], [spec("y", 1)], False),
        ([spec("x", "n", "n")], [spec("y", "n")], False),
        ([spec("x", "n", 3), spec("z", 3)], [spec("y", "n")], False),
        ([spec("x", "n")], [spec("y", "n", "n")], False),
    ],
)
def test_one_named_first_dim_everywhere_and_nowhere_else(
    inputs: list[TensorSpec], outputs: list[TensorSpec], permitted: bool
) -> None:
    assert permits_rows(signature(inputs, outputs)) == permitted


@st.composite
def requests(draw: Any) -> list[list[Tensor]]:
    """A few requests for the same model, alike, with one to three rows each."""
    kinds: list[DataType] = draw(st.lists(st.sampled_from([*ITEM_SIZE, "BYTES"]), min_size=1, max_size=3))
    tails = [draw(st.lists(st.integers(0, 3), max_size=2)) for _ in kinds]
    made = []
    for _ in range(draw(st.integers(1, 4))):
        rows, tensors = draw(st.integers(1, 3)), []
        for i, (kind, tail) in enumerate(zip(kinds, tails, strict=True)):
            count = rows
            for dim in tail:
                count *= dim
            if kind == "BYTES":
                data = join_bytes([draw(st.binary(max_size=4)) for _ in range(count)])
            else:
                data = bytes(draw(st.integers(0, 1)) for _ in range(count * ITEM_SIZE[kind]))
            tensors.append(Tensor.of(f"t{i}", kind, (rows, *tail), data))
        made.append(tensors)
    return made


@given(requests())
def test_what_is_joined_can_be_parted_again(made: list[list[Tensor]]) -> None:
    assert len({alike(request) for request in made}) == 1
    joined = join(made)
    for tensor in joined:
        tensor.check()
    shares = part(joined, [rows_of(request) for request in made])
    assert shares is not None
    for request, share in zip(made, shares, strict=True):
        assert [(t.header, bytes(t.data)) for t in request] == [(t.header, bytes(t.data)) for t in share]
        assert same(request, share)


def test_outputs_with_other_rows_are_not_parted() -> None:
    assert part([floats(1, 2, 3)], [1, 1]) is None
    assert part([Tensor.of("y", "FP32", (), bytes(4))], [1]) is None


def test_inputs_that_disagree_have_no_rows() -> None:
    assert rows_of([floats(1, 2), floats(1, 2, 3, name="z")]) == 0


def test_a_trial_has_rows_that_differ_and_small_numbers() -> None:
    kinds: list[DataType] = [*ITEM_SIZE, "BYTES"]  # type: ignore[list-item]
    specs = [spec(f"x{i}", "n", 4, "m", datatype=kind) for i, kind in enumerate(kinds)]
    rows = trial_rows(specs)
    for request in rows:
        for tensor, wanted in zip(request, specs, strict=True):
            assert tensor.header.shape == (1, 4, 1)
            assert wanted.accepts(tensor.header) is None
            tensor.check()
            if tensor.header.datatype == "INT64":
                assert set(struct.unpack("<4q", bytes(tensor.data))) <= {0, 1}
            if tensor.header.datatype == "BYTES":
                assert set(split_bytes(tensor.data)) <= {b"a", b"b"}
    assert len({b"".join(bytes(t.data) for t in request) for request in rows}) == len(rows)
    with pytest.raises(RecordError, match="company"):
        trial_rows([spec("x", "n", MAX_TENSOR_BYTES // 4)])


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_floats_may_differ_in_their_last_bits_and_no_more(datatype: DataType) -> None:
    little = {"FP16": 1e-3, "FP32": 1e-6, "FP64": 1e-12}[datatype]
    one = floats(1, -2, datatype=datatype)
    assert same([one], [floats(1 + little, -2, datatype=datatype)])
    assert not same([one], [floats(1.1, -2, datatype=datatype)])
    assert not same([one], [floats(1, float("nan"), datatype=datatype)])
    assert not same([floats(float("nan"), 1, datatype=datatype)], [floats(0, 1, datatype=datatype)])
    assert not same([floats(float("inf"), 1, datatype=datatype)], [floats(0, 1, datatype=datatype)])
    assert not same([one], [floats(1, -2, 3, datatype=datatype)])


def test_whole_numbers_agree_in_every_bit() -> None:
    assert same([Tensor.of("y", "INT8", (2,), b"\1\2")], [Tensor.of("y", "INT8", (2,), b"\1\2")])
    assert not same([Tensor.of("y", "INT8", (2,), b"\1\2")], [Tensor.of("y", "INT8", (2,), b"\1\3")])
    bf16 = Tensor.of("y", "BF16", (2,), b"\x80\x3f\x00\x40")
    assert same([bf16], [Tensor.of("y", "BF16", (2,), b"\x81\x3f\x00\x40")])
    assert not same([bf16], [Tensor.of("y", "BF16", (2,), b"\x80\x40\x00\x40")])
