"""Parcels: what goes in comes out, and any bytes give a parcel or an error of ours."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages import Failed, FromNode, FromWorker, Load, Part, Ran, Run
from engine.parcels import ParcelDecoder, pack
from wire.bounds import MAX_DATA, MAX_TENSOR_BYTES
from wire.canonical import encode
from wire.errors import RecordError, RemoteError
from wire.frames import Kind, frame_header
from wire.tensors import Tensor, TensorHeader


def packed(message: Run | Ran, tensors: list[Tensor]) -> bytes:
    return b"".join(bytes(p) for p in pack(message, tensors))


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 64))
@settings(max_examples=60)
def test_parcels_survive_any_fragmentation(contents: list[bytes], step: int) -> None:
    tensors = [Tensor.of(f"t{i}", "UINT8", (len(c),), c) for i, c in enumerate(contents)]
    wire = packed(Ran(outputs=tuple(t.header for t in tensors), compute_us=5), tensors) * 2
    decoder: ParcelDecoder[FromWorker] = ParcelDecoder(FromWorker)
    got = []
    for at in range(0, len(wire), step):
        decoder.feed(wire[at : at + step])
        while (parcel := decoder.next()) is not None:
            got.append([bytes(t.data) for t in parcel.tensors])
    assert got == [contents, contents]


def test_a_tensor_over_one_frame_is_cut_and_joined() -> None:
    data = bytes(range(256)) * (MAX_DATA // 256 + 1)
    tensor = Tensor.of("x", "UINT8", (len(data),), data)
    parts = pack(Run(inputs=(tensor.header,)), [tensor])
    assert sum(isinstance(p, memoryview) for p in parts) == 2
    decoder: ParcelDecoder[FromNode] = ParcelDecoder(FromNode)
    for part in parts:
        decoder.feed(bytes(part))
    parcel = decoder.next()
    assert parcel is not None
    assert bytes(parcel.tensors[0].data) == data


@given(st.binary(max_size=200), st.binary(max_size=60), st.sampled_from([1, 2, 3, 9]))
@settings(max_examples=200)
def test_any_bytes_give_a_parcel_or_our_errors(noise: bytes, payload: bytes, kind: int) -> None:
    start = encode(
        Ran(outputs=(TensorHeader(name="x", shape=(3,), datatype="BOOL", binary_data_size=3),), compute_us=0)
    )
    good = frame_header(Kind.RECORD, len(start)) + start
    for wire in (noise, good + noise, good + bytes((kind,)) + len(payload).to_bytes(4, "big") + payload):
        decoder: ParcelDecoder[FromWorker] = ParcelDecoder(FromWorker)
        decoder.feed(wire)
        with suppress(RecordError, RemoteError):
            while decoder.next() is not None:
                pass


def test_lies_about_size_are_refused_before_the_bytes_come() -> None:
    half = MAX_TENSOR_BYTES // 2 + 1
    headers = tuple(TensorHeader(name=n, shape=(half,), datatype="INT8", binary_data_size=half) for n in "ab")
    wrong = TensorHeader(name="x", shape=(2,), datatype="FP32", binary_data_size=4)
    one = TensorHeader(name="x", shape=(1,), datatype="INT8", binary_data_size=1)
    for inputs, follows, match in (
        (headers, b"", "in all"),
        ((wrong,), b"", "takes"),
        ((one,), frame_header(Kind.DATA, 2) + b"ab", "lacks 1"),
        ((one,), frame_header(Kind.DATA, 0), "lacks 1"),
        ((one,), frame_header(Kind.RECORD, 1) + b"a", "lacks 1"),
    ):
        body = encode(Run(inputs=inputs))
        decoder: ParcelDecoder[FromNode] = ParcelDecoder(FromNode)
        decoder.feed(frame_header(Kind.RECORD, len(body)) + body + follows)
        with pytest.raises(RecordError, match=match):
            decoder.next()


def test_the_other_sides_messages_are_refused() -> None:
    load = Load(files=(Part(path="model.onnx", fd=3, size=1),), threads=1, memory=2**30)
    for kind, message in ((FromNode, Failed(message="no")), (FromWorker, load)):
        decoder: ParcelDecoder[Run] = ParcelDecoder(kind)
        decoder.feed(b"".join(bytes(p) for p in pack(message)))
        with pytest.raises(RecordError):
            decoder.next()
