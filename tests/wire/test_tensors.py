from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import tensors
from wire.arrays import _TO_NUMPY, as_float, from_array, to_array
from wire.bounds import MAX_RANK, MAX_TENSOR_BYTES
from wire.canonical import decode, encode
from wire.errors import RecordError
from wire.tensors import (
    ITEM_SIZE,
    Tensor,
    TensorHeader,
    TensorSpec,
    check_headers,
    join_bytes,
    split_bytes,
    tensor_set,
)

DATATYPES = [*ITEM_SIZE, "BYTES"]
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


def header(**changes: Any) -> TensorHeader:
    return TensorHeader(**{"name": "x", "shape": (2, 3), "datatype": "FP32", "binary_data_size": 24} | changes)


@pytest.mark.parametrize("datatype", ITEM_SIZE)
@given(shape=SHAPES, data=st.data())
def test_an_array_comes_back_as_it_was(datatype: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    size = int(np.prod(shape, dtype=np.int64)) * ITEM_SIZE[datatype]
    raw = data.draw(st.binary(min_size=size, max_size=size))
    if datatype == "BOOL":
        raw = bytes(byte & 1 for byte in raw)
    tensor = Tensor.of("x", datatype, shape, raw)
    array = to_array(tensor)
    assert array.shape == shape
    assert array.dtype == np.dtype(_TO_NUMPY[datatype])
    assert not array.flags.writeable
    again = from_array("x", array, "BF16" if datatype == "BF16" else None)
    assert again.header == tensor.header
    assert bytes(again.data) == raw  # NaNs keep their bits
    assert as_float(tensor).shape == shape


@given(st.lists(st.binary(max_size=10), max_size=8))
def test_bytes_elements_come_back(elements: list[bytes]) -> None:
    assert split_bytes(join_bytes(elements)) == elements
    tensor = Tensor.of("x", "BYTES", (len(elements),), join_bytes(elements))
    array = to_array(tensor)
    assert array.tolist() == elements
    assert from_array("x", array).data == tensor.data


def test_text_becomes_bytes() -> None:
    tensor = from_array("x", np.array([["a", "é"], ["", "zz"]]))
    assert tensor.header.datatype == "BYTES"
    assert to_array(tensor).tolist() == [[b"a", "é".encode()], [b"", b"zz"]]


def test_any_layout_is_sent_little_endian_and_row_major() -> None:
    array = np.arange(6, dtype=">i4").reshape(2, 3)
    assert from_array("x", array).data == np.arange(6, dtype="<i4").tobytes()
    assert from_array("x", array.T).data == np.arange(6, dtype="<i4").reshape(2, 3).T.tobytes()
    assert from_array("x", array[:, ::-1]).data == array[:, ::-1].astype("<i4").tobytes()


def test_nan_and_infinity_pass_through() -> None:
    values = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0], dtype=np.float32)
    values.view(np.uint32)[0] |= 0x1234  # a payload
    tensor = from_array("x", values)
    assert to_array(tensor).tobytes() == values.tobytes()
    assert np.isnan(as_float(tensor)[:2]).all()


def test_bf16_is_widened_exactly() -> None:
    tensor = Tensor.of("x", "BF16", (3,), np.array([0x3F80, 0xC040, 0x7F80], dtype="<u2").tobytes())
    assert as_float(tensor).tolist() == [1.0, -3.0, np.inf]


@pytest.mark.parametrize(
    "array", [np.zeros(2, dtype=complex), np.zeros(2, "M8[s]"), np.zeros(2, "V4"), np.zeros(1, "g")]
)
def test_other_arrays_cannot_be_sent(array: Any) -> None:
    with pytest.raises(RecordError, match="cannot be sent"):
        from_array("x", array)


@pytest.mark.parametrize(
    "lie",
    [
        {"binary_data_size": 23},
        {"binary_data_size": 25},
        {"binary_data_size": 0},
        {"shape": (2, 4)},
        {"shape": ()},
        {"shape": (0,)},
        {"datatype": "FP64"},
        {"datatype": "BOOL"},
        {"shape": (2**40,) * MAX_RANK},
        {"shape": (2**40, 2**24 + 1), "datatype": "UINT8", "binary_data_size": 0},
        {"datatype": "BYTES", "shape": (7,)},
        {"shape": (0, 2**40, 2**40), "binary_data_size": 0},  # empty, and more than numpy can describe
    ],
)
def test_a_header_that_contradicts_itself_is_refused(lie: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="x: "):
        header(**lie).check()


@pytest.mark.parametrize(
    "bad",
    [
        {"shape": (1,) * (MAX_RANK + 1)},
        {"shape": (-1, 3)},
        {"shape": (2**40 + 1,)},
        {"shape": ("batch", 3)},
        {"datatype": "FP8"},
        {"datatype": "fp32"},
        {"binary_data_size": -1},
        {"binary_data_size": MAX_TENSOR_BYTES + 1},
        {"name": ""},
        {"name": "x" * 257},
    ],
)
def test_a_header_out_of_bounds_is_not_read(bad: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        decode(encode(header(**bad)), TensorHeader)


@given(
    st.sampled_from(DATATYPES), st.lists(st.integers(0, 2**40), max_size=MAX_RANK).map(tuple), st.binary(max_size=64)
)
def test_what_a_header_lets_through_can_be_read(datatype: str, shape: tuple[int, ...], data: bytes) -> None:
    try:
        tensor = Tensor.of("x", datatype, shape, data)
    except RecordError:
        return
    assert to_array(tensor).shape == shape


@pytest.mark.parametrize(
    "data", [b"", bytes(23), bytes(25), bytearray(1), memoryview(np.zeros(5, np.float32)).cast("B")]
)
def test_other_bytes_than_the_header_says_are_refused(data: Any) -> None:
    with pytest.raises(RecordError):
        Tensor.of("x", "FP32", (2, 3), data)
    with pytest.raises(RecordError, match="24"):
        Tensor(header(), data).check()


@pytest.mark.parametrize("raw", [b"\0\2\1", b"\xff\0\0", b"\1\1\x80"])
def test_a_bool_is_one_or_zero(raw: bytes) -> None:
    with pytest.raises(RecordError, match="neither 0 nor 1"):
        Tensor.of("x", "BOOL", (3,), raw)


@pytest.mark.parametrize(
    "raw", [b"\0", b"\5\0\0\0abcd", b"\xff\xff\xff\xff", b"\0\0\0\0\0", join_bytes([b"a", b"b"]) + b"\0\0\0"]
)
def test_bytes_elements_that_do_not_add_up_are_refused(raw: bytes) -> None:
    with pytest.raises(RecordError):
        split_bytes(raw)
    with pytest.raises(RecordError):
        Tensor.of("x", "BYTES", (1,), raw)


@given(st.binary(max_size=30))
def test_any_bytes_are_elements_or_a_record_error(raw: bytes) -> None:
    try:
        assert join_bytes(split_bytes(raw)) == raw
    except RecordError:
        return


def test_bytes_elements_are_as_many_as_the_shape_says() -> None:
    raw = join_bytes([b"a", b"b", b""])
    Tensor.of("x", "BYTES", (3,), raw)
    for shape in ((2,), (0,), (1, 1)):
        with pytest.raises(RecordError, match="do not number"):
            Tensor.of("x", "BYTES", shape, raw)


def test_a_flood_of_empty_elements_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "MAX_ELEMENTS", 10)
    assert len(split_bytes(bytes(40))) == 10
    for shape in ((11,), (1,)):
        with pytest.raises(RecordError, match="10"):
            Tensor.of("x", "BYTES", shape, bytes(44))


SPEC = TensorSpec(name="x", datatype="FP32", shape=("batch", 3))


def test_headers_must_be_the_models() -> None:
    check_headers([header()], [SPEC], "inputs")
    check_headers([header(shape=(0, 3), binary_data_size=0)], [SPEC], "inputs")
    for headers in (
        [],
        [header(), header()],
        [header(name="y")],
        [header(datatype="INT32")],
        [header(shape=(3, 2))],
        [header(shape=(6,))],
        [header(shape=(1, 2, 3))],
        [header(binary_data_size=28)],
    ):
        with pytest.raises(RecordError):
            check_headers(headers, [SPEC], "inputs")
    with pytest.raises(RecordError, match="tensors none; the model has x"):
        check_headers([], [SPEC], "inputs")


def test_all_tensors_together_are_bounded() -> None:
    half = TensorSpec(name="x", datatype="UINT8", shape=("n",))
    big = header(datatype="UINT8", shape=(MAX_TENSOR_BYTES // 2 + 1,), binary_data_size=MAX_TENSOR_BYTES // 2 + 1)
    check_headers([big], [half], "inputs")
    with pytest.raises(RecordError, match="in all"):
        check_headers([big, big], [half, half], "inputs")


def test_a_hash_binds_everything_about_the_tensors() -> None:
    x = Tensor.of("x", "FP32", (2, 3), bytes(24))
    same = Tensor.of("x", "FP32", (2, 3), memoryview(bytearray(24)))
    assert tensor_set([x]).hash() == tensor_set([same]).hash()
    others = [
        [],
        [x, x],
        [Tensor.of("y", "FP32", (2, 3), bytes(24))],
        [Tensor.of("x", "INT32", (2, 3), bytes(24))],
        [Tensor.of("x", "FP32", (3, 2), bytes(24))],
        [Tensor.of("x", "FP32", (2, 3), bytes(23) + b"\1")],
    ]
    hashes = {tensor_set(t).hash() for t in [[x], *others]}
    assert len(hashes) == 1 + len(others)


def test_a_signalling_nan_warns_nobody(recwarn: pytest.WarningsRecorder) -> None:
    for datatype, bits in (("FP32", 0x7F800001), ("BF16", 0x7F81), ("FP16", 0x7C01)):
        raw = bits.to_bytes(ITEM_SIZE[datatype], "little")
        assert np.isnan(as_float(Tensor.of("x", datatype, (1,), raw))).all()
    assert list(recwarn) == []
