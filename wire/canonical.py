"""One value, one sequence of bytes: the canonical MessagePack under every hash and every signature.

A record is a frozen `msgspec.Struct`; its map's keys stand in the order of its fields, integers take their shortest
form, and there are no floats. Decoding re-encodes and compares, so `encode(decode(b)) == b` holds or `b` is refused:
nobody can give one record two names.
"""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

import msgpack
import msgspec

from .bounds import MAX_ARRAY, MAX_MAP, MAX_RECORD, MAX_TEXT
from .errors import RecordError


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every record is: frozen, keyword-only, closed to fields it does not name."""


class Amount(int):
    """Money in the token's smallest unit, 0 to 2**128 - 1. On the wire: big-endian bytes without leading zeros."""


R = TypeVar("R", bound=msgspec.Struct)


def _to_wire(value: Any) -> bytes:
    if isinstance(value, Amount):
        if not 0 <= value < 1 << 128:
            raise RecordError(f"amount {int(value)} is outside 0 .. 2**128 - 1")
        return value.to_bytes((value.bit_length() + 7) // 8, "big")
    raise RecordError(f"{type(value).__name__} cannot stand in a record")


def _from_wire(kind: type, value: Any) -> Any:
    if kind is Amount and isinstance(value, bytes) and len(value) <= 16 and not value.startswith(b"\0"):
        return Amount(int.from_bytes(value, "big"))
    raise ValueError(f"not a {kind.__name__}: up to 16 big-endian bytes without leading zeros are")


def encode(record: msgspec.Struct) -> bytes:
    """The canonical bytes of `record`; RecordError for a value that has none (a lone surrogate, a huge integer)."""
    try:
        plain = msgspec.to_builtins(record, builtin_types=(bytes,), enc_hook=_to_wire)
        return msgpack.packb(plain, use_bin_type=True)  # type: ignore[no-any-return]
    except (UnicodeEncodeError, OverflowError) as error:
        raise RecordError(f"{type(record).__name__}: {error}") from error


def decode(data: bytes | bytearray | memoryview, kind: type[R], *, limit: int = MAX_RECORD) -> R:
    """The record of type `kind` in `data`; RecordError names the field and the bound that `data` breaks.

    `kind` may be a union of tagged records. `limit` is the most bytes such a record may take.
    """
    name = getattr(kind, "__name__", str(kind))
    if len(data) > limit:
        raise RecordError(f"{name}: {len(data)} bytes, the bound is {limit}")
    try:
        plain = msgpack.unpackb(
            data,
            use_list=True,
            raw=False,
            strict_map_key=True,
            max_str_len=MAX_TEXT,
            max_bin_len=limit,
            max_array_len=MAX_ARRAY,
            max_map_len=MAX_MAP,
            max_ext_len=0,
        )
    except Exception as error:  # msgpack raises a dozen kinds, RecursionError among them; all mean the same to us
        raise RecordError(f"{name}: not MessagePack within its bounds ({error or type(error).__name__})") from error
    try:
        record: R = msgspec.convert(plain, kind, builtin_types=(bytes,), dec_hook=_from_wire)
    except (msgspec.ValidationError, RecursionError) as error:
        raise RecordError(f"{name}: {error}") from error
    if encode(record) != bytes(data):
        raise RecordError(f"{name}: not in canonical form (key order, integer width or a repeated key)")
    return record
