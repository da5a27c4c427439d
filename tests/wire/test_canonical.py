from __future__ import annotations

from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect as types

from wire.blob import BlobRequest
from wire.bounds import MAX_ARRAY, MAX_MAP, MAX_RECORD, MAX_TEXT
from wire.canonical import Amount, Record, decode, encode
from wire.catalogue import CatalogueRequest
from wire.committee import CommitteeRequest
from wire.errors import RecordError
from wire.inference import Usage
from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile

from .loose import change_every, pack_map, pack_wide
from .records import NOT_ON_THE_WIRE, RECORDS, WIRE_RECORDS, field_types, of

every_record = pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
every_wire_record = pytest.mark.parametrize("kind", WIRE_RECORDS, ids=lambda kind: kind.__name__)


def test_the_records_were_found() -> None:
    names = {kind.__name__ for kind in RECORDS}
    assert names > NOT_ON_THE_WIRE
    assert {"Offer", "Receipt", "Ballot", "Manifest", "Outline", "Presence", "ReceiptFile", "Domain"} < names
    assert len(names) == len(RECORDS) > 45


@every_wire_record
def test_no_record_on_the_wire_holds_a_float_or_anything(kind: type[Record]) -> None:
    for info in field_types(kind):
        assert not isinstance(info, types.FloatType | types.AnyType | types.RawType | types.DictType)


@every_wire_record
def test_every_number_and_array_is_bounded(kind: type[Record]) -> None:
    for info in field_types(kind):
        if isinstance(info, types.IntType):
            assert info.ge is not None, info
            assert info.le is not None, info
            assert -(2**63) <= info.ge <= info.le < 2**64
        if isinstance(info, types.VarTupleType):
            assert info.max_length is not None, info
            assert info.max_length <= MAX_ARRAY


@every_record
@given(data=st.data())
@settings(max_examples=10)
def test_a_record_comes_back_as_it_was(kind: type[Record], data: st.DataObject) -> None:
    record = data.draw(of(kind))
    encoded = encode(record)
    assert decode(encoded, kind, limit=MAX_RECEIPT_FILE) == record
    assert encode(decode(bytearray(encoded), kind, limit=MAX_RECEIPT_FILE)) == encoded
    assert decode(memoryview(encoded), kind, limit=MAX_RECEIPT_FILE) == record


def refuse(encoded: bytes, kind: Any) -> None:
    with pytest.raises(RecordError):
        decode(encoded, kind)


@every_wire_record
@given(data=st.data())
@settings(max_examples=5)
def test_no_second_form_of_a_record_is_read(kind: type[Record], data: st.DataObject) -> None:
    encoded = encode(data.draw(of(kind)))
    plain = msgpack.unpackb(encoded)
    pairs = list(plain.items())
    refuse(pack_wide(plain), kind)
    refuse(pack_map([*pairs, pairs[-1]]), kind)
    refuse(pack_map([*pairs, ("zzz", 1)]), kind)
    refuse(pack_map([*pairs, (7, 1)]), kind)
    refuse(pack_map(pairs[:-1]), kind)
    if len(pairs) > 1:
        refuse(pack_map(pairs[::-1]), kind)
    refuse(encoded + b"\xc0", kind)
    refuse(msgpack.packb([plain]), kind)
    refuse(msgpack.packb([value for _, value in pairs]), kind)
    for cut in range(0, len(encoded), max(1, len(encoded) // 20)):
        refuse(encoded[:cut], kind)

    def other_kinds(value: Any) -> list[Any]:
        if isinstance(value, bool):
            return [int(value), float(value)]
        if isinstance(value, int):
            return [float(value), str(value), value == 1]
        if isinstance(value, bytes):
            return [
                value.decode("latin-1"),
                list(value),
                msgpack.ExtType(1, value),
                b"\0" + value if not value else 1.5,
            ]
        return [1.5] if value is None else []

    for changed in change_every(plain, other_kinds):
        if msgpack.packb(changed) != encoded:
            _record_or_error(msgpack.packb(changed), kind)


def _record_or_error(data: bytes, kind: Any) -> None:
    try:
        record = decode(data, kind)
    except RecordError:
        return
    assert encode(record) == data


@every_record
@given(data=st.data())
@settings(max_examples=10)
def test_any_bytes_give_the_one_record_they_are_or_a_record_error(kind: type[Record], data: st.DataObject) -> None:
    _record_or_error(data.draw(st.binary(max_size=60)), kind)
    encoded = bytearray(encode(data.draw(of(kind))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(encoded) - 1))
        encoded[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not encoded:
            break
    _record_or_error(bytes(encoded), kind)


SIMPLE = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5)
KEYS = st.text(max_size=5) | st.integers(0, 9)
VALUES = st.recursive(
    SIMPLE | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@every_record
@given(value=VALUES, data=st.data())
@settings(max_examples=10)
def test_any_values_in_the_fields_give_a_record_or_a_record_error(
    kind: type[Record], value: Any, data: st.DataObject
) -> None:
    _record_or_error(msgpack.packb(value), kind)
    plain = msgpack.unpackb(encode(data.draw(of(kind))))
    field = data.draw(st.sampled_from(sorted(plain)))
    _record_or_error(msgpack.packb(plain | {field: value}), kind)


HOSTILE = {
    "nothing": b"",
    "an array 4 Gi long": b"\xdd\xff\xff\xff\xff",
    "a map 4 Gi long": b"\xdf\xff\xff\xff\xff",
    "a string 4 Gi long": b"\xdb\xff\xff\xff\xff",
    "bytes 4 Gi long": b"\xc6\xff\xff\xff\xff",
    "an extension": b"\xc7\x01\x05x",
    "an extension 4 Gi long": b"\xc9\xff\xff\xff\xff\x01",
    "a timestamp": b"\xd6\xff\x00\x00\x00\x00",
    "the unused code": b"\xc1",
    "arrays nested deeper than any stack": b"\x91" * 200_000,
    "maps nested deeper than any stack": b"\x81\xa1a" * 80_000,
    "a string that is not UTF-8": b"\x81\xa2\xff\xfe\x01",
    "a map with a list for a key": b"\x81\x91\x01\x01",
    "a string over the bound": msgpack.packb({"units": "x" * (MAX_TEXT + 1)}),
    "an array over the bound": msgpack.packb({"units": [0] * (MAX_ARRAY + 1)}),
    "a map over the bound": msgpack.packb({f"f{i}": 0 for i in range(MAX_MAP + 1)}),
    "more than a record's bytes": msgpack.packb(b"x" * MAX_RECORD),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("kind", [Usage, ReceiptFile, BlobRequest, CatalogueRequest, CommitteeRequest])
def test_hostile_bytes_are_a_record_error(data: bytes, kind: Any) -> None:
    with pytest.raises(RecordError):
        decode(data, kind)
    with pytest.raises(RecordError):
        decode(b"\x81\xa5units" + data, kind)


def test_the_limit_is_on_the_encoded_bytes() -> None:
    usage = Usage(units=1, tokens_in=2, tokens_out=3, compute_us=4)
    size = len(encode(usage))
    assert decode(encode(usage), Usage, limit=size) == usage
    with pytest.raises(RecordError, match=f"{size} bytes, the bound is {size - 1}"):
        decode(encode(usage), Usage, limit=size - 1)


@pytest.mark.parametrize("value", [-1, 2**63, 2**64 - 1])
def test_numbers_out_of_bounds_are_refused(value: int) -> None:
    plain = {"units": value, "tokens_in": 0, "tokens_out": 0, "compute_us": 0}
    with pytest.raises(RecordError, match="units"):
        decode(msgpack.packb(plain), Usage)


class Money(Record):
    amount: Amount


@pytest.mark.parametrize(
    ("amount", "form"), [(0, b""), (1, b"\1"), (256, b"\1\0"), (2**64, b"\1" + bytes(8)), (2**128 - 1, b"\xff" * 16)]
)
def test_an_amount_has_one_form(amount: int, form: bytes) -> None:
    encoded = msgpack.packb({"amount": form})
    assert encode(Money(amount=Amount(amount))) == encoded
    assert decode(encoded, Money).amount == amount


@pytest.mark.parametrize("form", [b"\0", b"\0\1", b"\1" * 17, 1, "1", -1, 1.0, None, [1], True])
def test_other_forms_of_an_amount_are_refused(form: Any) -> None:
    with pytest.raises(RecordError):
        decode(msgpack.packb({"amount": form}), Money)


@pytest.mark.parametrize("amount", [-1, 2**128])
def test_an_amount_out_of_bounds_is_not_written(amount: int) -> None:
    with pytest.raises(RecordError, match="outside"):
        encode(Money(amount=Amount(amount)))


def test_what_has_no_canonical_form_is_a_record_error() -> None:
    class Loose(Record):
        value: Any

    for value in ("\udc80", 2**64, -(2**70)):
        with pytest.raises(RecordError, match="Loose"):
            encode(Loose(value=value))


@pytest.mark.parametrize("union", [BlobRequest, CatalogueRequest, CommitteeRequest])
@given(data=st.data())
@settings(max_examples=10)
def test_a_union_is_told_apart_by_its_tag(union: Any, data: st.DataObject) -> None:
    record = data.draw(of(data.draw(st.sampled_from(union.__args__))))
    encoded = encode(record)
    assert decode(encoded, union) == record
    refuse(msgpack.packb(msgpack.unpackb(encoded) | {"type": "other"}), union)
    refuse(pack_map([(k, v) for k, v in msgpack.unpackb(encoded).items() if k != "type"]), union)


def test_records_are_closed_and_frozen() -> None:
    for kind in RECORDS:
        assert issubclass(kind, msgspec.Struct)
        assert kind.__struct_config__.frozen
        assert kind.__struct_config__.forbid_unknown_fields
