"""JSON of strangers is a value or a named error, whatever the interpreter's limits are."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import RecordError
from wire.jsontext import MAX_NESTING, read_json


@pytest.fixture
def raised() -> Iterator[None]:
    """As some libraries leave it: Python's own guard then comes too late for the C stack."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("raised")
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_deep_nesting_is_a_named_error(opening: bytes) -> None:
    with pytest.raises(RecordError, match="the file is nested deeper"):
        read_json(opening * 200_000, 2**21, "the file")


def test_what_is_not_too_deep_is_read() -> None:
    text = b"[" * MAX_NESTING + b"]" * MAX_NESTING
    assert read_json(text, 1000, "it") is not None
    assert read_json(b'{"a": [1, "]]]"]}', 1000, "it") == {"a": [1, "]]]"]}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_record_error(data: bytes) -> None:
    try:
        read_json(data, 100, "it")
    except RecordError:
        return
    assert len(data) <= 100
