"""A model's example: what was written is read, and any other bytes are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.records import of
from wire.canonical import encode
from wire.errors import RecordError
from wire.example import MAX_EXAMPLE, Example, read_example, write_example
from wire.tensors import Tensor, join_bytes

TENSORS = [
    Tensor.of("x", "FP32", (2, 1), bytes(8)),
    Tensor.of("words", "BYTES", (2,), join_bytes([b"a", b""])),
    Tensor.of("n", "INT64", (), bytes(8)),
]


def test_what_was_written_is_read() -> None:
    assert read_example(write_example(TENSORS)) == TENSORS
    assert read_example(write_example([])) == []


@given(st.binary(max_size=200) | of(Example).map(encode))
def test_any_bytes_are_tensors_or_a_record_error(data: bytes) -> None:
    try:
        tensors = read_example(data)
    except RecordError:
        return
    assert write_example(tensors) == data


@pytest.mark.parametrize(
    "example",
    [
        Example(format=1, headers=(TENSORS[0].header,), contents=()),
        Example(format=1, headers=(), contents=(b"x",)),
        Example(format=1, headers=(TENSORS[0].header,), contents=(bytes(7),)),
        Example(format=1, headers=(TENSORS[1].header,), contents=(bytes(9),)),
        Example(format=2, headers=(), contents=()),
    ],
    ids=["no content", "no header", "too short", "no elements", "another format"],
)
def test_headers_and_contents_must_fit(example: Example) -> None:
    with pytest.raises(RecordError):
        read_example(encode(example))


def test_it_is_bounded_on_both_ways() -> None:
    large = Tensor.of("x", "UINT8", (MAX_EXAMPLE,), bytes(MAX_EXAMPLE))
    with pytest.raises(RecordError, match="the bound is"):
        write_example([large])
    with pytest.raises(RecordError, match="the bound is"):
        read_example(encode(Example(format=1, headers=(large.header,), contents=(bytes(large.data),))))
