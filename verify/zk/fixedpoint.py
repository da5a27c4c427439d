"""Floats as the whole numbers of a circuit, and back: exactly as EZKL 23 does it, so that a proof's public numbers
are computed here from the request and the receipt, and never taken from a prover.

A number x stands as round(x · 2**scale), halves away from zero; a negative one as its field's order less. Source:
EZKL, src/graph/utilities.rs (quantize_float) and src/fieldutils.rs (integer_rep_to_felt).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from wire.errors import RecordError
from wire.tensors import Data

ORDER = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001  # of BN254's scalar field
_MOST = 2**63 - 1  # what 8 bytes hold; far below half the order, so no two of these numbers are one field element


def quantise(data: Data, scale: int) -> tuple[int, ...]:
    """The numbers of an FP32 tensor's bytes; RecordError for one that is not finite, or too large."""
    found = []
    for value in struct.unpack(f"<{len(data) // 4}f", data):
        if not math.isfinite(value):
            raise RecordError(f"{value} cannot be proved: a circuit has no such number")
        # Exact: a float of 32 bits has 24 that count, so neither the product nor the sum is rounded where it matters.
        number = math.floor(abs(value) * 2**scale + 0.5)
        if number > _MOST:
            raise RecordError(f"{value} is too large for a circuit with {scale} bits behind the point")
        found.append(number if value >= 0 else -number)
    return tuple(found)


def dequantise(numbers: Sequence[int], scale: int) -> bytes:
    """The FP32 tensor's bytes that these numbers stand for: each divided by 2**scale, then rounded to 32 bits."""
    try:
        return struct.pack(f"<{len(numbers)}f", *(number / 2**scale for number in numbers))
    except OverflowError as error:
        raise RecordError("a proved number is beyond what FP32 can say") from error


def pack_numbers(numbers: Sequence[int]) -> bytes:
    """Eight bytes each, signed, little-endian; RecordError for one that does not fit."""
    if any(abs(number) > _MOST for number in numbers):
        raise RecordError("a proved number does not fit into 8 bytes")
    return struct.pack(f"<{len(numbers)}q", *numbers)


def unpack_numbers(data: bytes) -> tuple[int, ...]:
    """The inverse of `pack_numbers`; RecordError when `data` is none of it."""
    if len(data) % 8:
        raise RecordError(f"{len(data)} bytes are no numbers of 8 bytes each")
    numbers = struct.unpack(f"<{len(data) // 8}q", data)
    if numbers and min(numbers) < -_MOST:
        raise RecordError("a number is outside its bound")
    return numbers


def to_field(number: int) -> str:
    """The field element as EZKL writes it: 32 bytes in hexadecimal, little-endian."""
    return (number % ORDER).to_bytes(32, "little").hex()


def from_field(text: str) -> int:
    """The number that a field element written by EZKL stands for; RecordError when it is none, or too large."""
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise RecordError("a field element is not hexadecimal") from error
    element = int.from_bytes(data, "little")
    if len(text) != 64 or len(data) != 32 or element >= ORDER:
        raise RecordError("a number is outside the field")
    number = element if element <= ORDER // 2 else element - ORDER
    if abs(number) > _MOST:
        raise RecordError("a proved number does not fit into 8 bytes")
    return number
