"""Tensors as the Open Inference Protocol describes them: a small header, and the raw bytes apart from it.

A header's claims are checked in Python integers, before anything is allocated: known datatype, bounded rank and dims,
product(shape) × item size equal to `binary_data_size`. The raw bytes are little-endian and row-major; BYTES elements
are each preceded by their length (4 bytes, little-endian).
Source: Open Inference Protocol v2, with the binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from struct import Struct
from typing import Annotated, Literal

from msgspec import Meta

from .bounds import MAX_ELEMENTS, MAX_RANK, MAX_TENSOR_BYTES, MAX_TENSORS, MIB, U63, Hash32, LongName, Name
from .canonical import Record, encode
from .cid import content_hash
from .errors import RecordError

DataType = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "BF16", "FP32", "FP64",
    "BYTES",
]  # fmt: skip
ITEM_SIZE: dict[str, int] = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
    "FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8,
}  # fmt: skip

_length = Struct("<I").unpack_from

Dim = Annotated[int, Meta(ge=0, le=2**40)]
Data = bytes | bytearray | memoryview


class TensorSpec(Record):
    """What a model accepts or returns: a dim is a size, or a name where the caller chooses it."""

    name: LongName
    datatype: DataType
    shape: Annotated[tuple[Dim | Name, ...], Meta(max_length=MAX_RANK)]

    def accepts(self, header: TensorHeader) -> str | None:
        """None when `header` fits; otherwise the sentence that says what differs."""
        if header.datatype != self.datatype:
            return f"{self.name}: datatype {header.datatype}, the model has {self.datatype}"
        fixed = [want if isinstance(want, int) else got for want, got in zip(self.shape, header.shape, strict=False)]
        if len(header.shape) != len(self.shape) or list(header.shape) != fixed:
            shape = ",".join(map(str, self.shape))
            return f"{self.name}: shape {list(header.shape)}, the model has [{shape}]"
        return None


class TensorHeader(Record):
    """One tensor's name, shape and type, and how many raw bytes follow."""

    name: LongName
    shape: Annotated[tuple[Dim, ...], Meta(max_length=MAX_RANK)]
    datatype: DataType
    binary_data_size: Annotated[int, Meta(ge=0, le=MAX_TENSOR_BYTES)]

    def check(self) -> None:
        """RecordError when shape, datatype and size contradict each other."""
        if prod(dim or 1 for dim in self.shape) > MAX_TENSOR_BYTES:  # an empty tensor's other dims must be sane too
            raise RecordError(f"{self.name}: shape {list(self.shape)} is beyond any tensor of {MAX_TENSOR_BYTES} bytes")
        count = prod(self.shape)
        size = ITEM_SIZE.get(self.datatype)
        if size is None:  # BYTES: each element takes at least its length prefix
            if count > MAX_ELEMENTS:
                raise RecordError(f"{self.name}: {count} BYTES elements, the bound is {MAX_ELEMENTS}")
            if count * 4 > self.binary_data_size:
                raise RecordError(f"{self.name}: {count} BYTES elements do not fit in {self.binary_data_size} bytes")
        elif count * size != self.binary_data_size:
            raise RecordError(
                f"{self.name}: shape {list(self.shape)} of {self.datatype} takes {count * size} bytes, "
                f"binary_data_size says {self.binary_data_size}"
            )


Headers = Annotated[tuple[TensorHeader, ...], Meta(max_length=MAX_TENSORS)]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A header with its bytes; the bytes may be any buffer and are never copied here."""

    header: TensorHeader
    data: Data

    @classmethod
    def of(cls, name: str, datatype: DataType, shape: Sequence[int], data: Data) -> Tensor:
        """A tensor whose header is made from its parts; RecordError when they contradict each other."""
        size = len(data) if isinstance(data, bytes | bytearray) else data.nbytes
        tensor = cls(TensorHeader(name=name, shape=tuple(shape), datatype=datatype, binary_data_size=size), data)
        tensor.check()
        return tensor

    @property
    def name(self) -> str:
        return self.header.name

    def check(self) -> None:
        """RecordError when the bytes are not what the header says."""
        self.header.check()
        self.check_size()
        if self.header.datatype == "BYTES" and _count_bytes(self.data) != prod(self.header.shape):
            raise RecordError(f"{self.name}: its BYTES elements do not number {prod(self.header.shape)}")
        if self.header.datatype == "BOOL" and not _is_bool(self.data):
            raise RecordError(f"{self.name}: a BOOL byte is neither 0 nor 1")

    def check_size(self) -> None:
        """RecordError when there are more bytes than the header says, or fewer. It looks at none of them."""
        size = memoryview(self.data).nbytes
        if size != self.header.binary_data_size:
            raise RecordError(f"{self.name}: {size} bytes came, the header says {self.header.binary_data_size}")


class TensorLeaf(Record):
    """What a tensor contributes to a hash: its description, and the hash of its bytes."""

    name: LongName
    datatype: DataType
    shape: Annotated[tuple[Dim, ...], Meta(max_length=MAX_RANK)]
    content: Hash32
    size: U63


class TensorSet(Record):
    """The leaves of a request's inputs or an answer's outputs, in the order of the model's signature."""

    leaves: Annotated[tuple[TensorLeaf, ...], Meta(max_length=MAX_TENSORS)]

    def hash(self) -> bytes:
        """The inputs_hash or outputs_hash that a receipt binds, 32 bytes."""
        return content_hash(encode(self))


def tensor_set(tensors: Sequence[Tensor]) -> TensorSet:
    """Hash every tensor once."""
    return TensorSet(
        leaves=tuple(
            TensorLeaf(
                name=t.name,
                datatype=t.header.datatype,
                shape=t.header.shape,
                content=content_hash(t.data),
                size=t.header.binary_data_size,
            )
            for t in tensors
        )
    )


def check_headers(headers: Sequence[TensorHeader], specs: Sequence[TensorSpec], what: str) -> None:
    """RecordError unless `headers` are the tensors of `specs`, by name and in their order, within the total bound."""
    if [h.name for h in headers] != [s.name for s in specs]:
        got, want = ", ".join(h.name for h in headers) or "none", ", ".join(s.name for s in specs) or "none"
        raise RecordError(f"{what}: tensors {got}; the model has {want}")
    for header, spec in zip(headers, specs, strict=True):
        header.check()
        if problem := spec.accepts(header):
            raise RecordError(f"{what}: {problem}")
    if (total := sum(h.binary_data_size for h in headers)) > MAX_TENSOR_BYTES:
        raise RecordError(f"{what}: {total} bytes in all, the bound is {MAX_TENSOR_BYTES}")


def split_bytes(data: Data) -> list[bytes]:
    """The elements of a BYTES tensor; RecordError when the lengths do not add up or the elements are too many."""
    _count_bytes(data)
    view, at = memoryview(data).cast("B"), 0
    elements: list[bytes] = []
    while at < len(view):
        end = at + 4 + _length(view, at)[0]
        elements.append(bytes(view[at + 4 : end]))
        at = end
    return elements


def _count_bytes(data: Data) -> int:
    """How many elements a BYTES tensor has, without making them, which takes 7 times as long: a loop runs this."""
    view, at, count = memoryview(data).cast("B"), 0, 0
    end = len(view)
    while at <= end - 4:
        at += 4 + _length(view, at)[0]
        count += 1
        if count > MAX_ELEMENTS:
            raise RecordError(f"BYTES tensor: more than {MAX_ELEMENTS} elements")
    if at != end:
        raise RecordError("BYTES tensor: an element is longer than what is left")
    return count


def _is_bool(data: Data) -> bool:
    view = memoryview(data).cast("B")
    pieces = (bytes(view[at : at + MIB]) for at in range(0, len(view), MIB))  # a few at a time stay in the cache
    return not any(piece.translate(None, b"\0\1") for piece in pieces)


def join_bytes(elements: Sequence[bytes]) -> bytes:
    """The raw form of a BYTES tensor, the inverse of `split_bytes`."""
    return b"".join(len(e).to_bytes(4, "little") + e for e in elements)
