"""Floats to a circuit's numbers and back, against exact arithmetic and against EZKL's own."""

from __future__ import annotations

import contextlib
import json
import math
import struct
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.zk.fixedpoint import ORDER, dequantise, from_field, pack_numbers, quantise, to_field, unpack_numbers
from wire.errors import RecordError

floats32 = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**20), max_value=2.0**20)
scales = st.integers(0, 40)
numbers = st.integers(-(2**63) + 1, 2**63 - 1)


def exactly(value: float, scale: int) -> int:
    """Halves away from zero, in fractions."""
    scaled = abs(Fraction(value)) * 2**scale
    rounded = math.floor(scaled + Fraction(1, 2))
    return rounded if value >= 0 else -rounded


@given(st.lists(floats32, min_size=1, max_size=8), scales)
def test_it_rounds_as_exact_arithmetic_does(values: list[float], scale: int) -> None:
    data = struct.pack(f"<{len(values)}f", *values)
    assert quantise(data, scale) == tuple(exactly(v, scale) for v in values)


def test_it_rounds_as_ezkl_does() -> None:
    values = [
        0.0,
        -0.0,
        1e-30,
        0.5,
        -0.5,
        2**-14,
        -(2**-14),
        3 * 2**-14,
        1 / 3,
        -2.5,
        1000.125,
        16777217.0,
        -0.49999997,
    ]
    values = [struct.unpack("<f", struct.pack("<f", v))[0] for v in values]
    code = "import ezkl, json, sys\nprint(json.dumps([ezkl.float_to_felt(v, 13) for v in json.loads(sys.argv[1])]))\n"
    ended = subprocess.run(
        [sys.executable, "-c", code, json.dumps(values)], capture_output=True, text=True, check=True, timeout=60
    )
    ours = quantise(struct.pack(f"<{len(values)}f", *values), 13)
    assert [to_field(n) for n in ours] == json.loads(ended.stdout)


@given(numbers)
def test_a_number_comes_back_from_the_field(number: int) -> None:
    assert from_field(to_field(number)) == number


@given(st.lists(numbers, max_size=8))
def test_packed_numbers_come_back(many: list[int]) -> None:
    assert unpack_numbers(pack_numbers(many)) == tuple(many)


@given(st.lists(floats32, min_size=1, max_size=4), st.integers(24, 40))
def test_what_has_room_comes_back_as_the_same_float(values: list[float], scale: int) -> None:
    values = [struct.unpack("<f", struct.pack("<f", round(v * 8) / 8))[0] for v in values]
    data = struct.pack(f"<{len(values)}f", *(v + 0.0 for v in values))
    assert dequantise(quantise(data, scale), scale) == data


@given(st.text(max_size=70) | st.binary(max_size=40).map(bytes.hex))
def test_any_text_is_a_field_element_or_a_named_error(text: str) -> None:
    with contextlib.suppress(RecordError):
        assert to_field(from_field(text)) == text.lower()


@given(st.binary(max_size=40))
def test_any_bytes_are_numbers_or_a_named_error(data: bytes) -> None:
    with contextlib.suppress(RecordError):
        assert pack_numbers(unpack_numbers(data)) == data


@pytest.mark.parametrize("text", [ORDER.to_bytes(32, "little").hex(), (2**64).to_bytes(32, "little").hex(), "00" * 31])
def test_what_is_no_number_of_ours_is_refused(text: str) -> None:
    with pytest.raises(RecordError):
        from_field(text)


def test_a_number_beyond_a_float_is_refused() -> None:
    assert dequantise([2**62], 0) == struct.pack("<f", 2.0**62)
    with pytest.raises(RecordError):
        quantise(struct.pack("<f", 3e38), 13)
    with pytest.raises(RecordError):
        quantise(struct.pack("<f", math.nan), 13)
