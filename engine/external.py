"""External data: weights that an ONNX graph keeps in files beside it, and where in which file each tensor's bytes lie.

The graph is a stranger's, so every word of it is checked before the runtime sees it: a location is a relative path that
leaves nothing, an offset and a length are numbers, and the bytes they name are in the file. Only the graph's own
initialisers may be external; wherever else a tensor can stand, `screen` refuses it. Worker side.
Source: onnx.proto, TensorProto.external_data; docs/ExternalData.md in ONNX's repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import Any

import onnx
from google.protobuf.message import EncodeError
from msgspec import ValidationError, convert

from wire.bounds import MAX_BLOB, MAX_FILES
from wire.manifest import FilePath

from .bounds import MAX_INLINED
from .errors import FilesNeeded, ModelRefused

_KEYS = {"location", "offset", "length", "checksum"}  # ONNX Runtime knows more: weights in a machine's own order
_NUMBER = re.compile(r"[0-9]{1,18}")
_T = onnx.TensorProto
_BITS: dict[int, int] = {  # of one element; text has no fixed size, and so cannot be external
    _T.BOOL: 8, _T.UINT8: 8, _T.UINT16: 16, _T.UINT32: 32, _T.UINT64: 64, _T.INT8: 8, _T.INT16: 16, _T.INT32: 32,
    _T.INT64: 64, _T.FLOAT16: 16, _T.BFLOAT16: 16, _T.FLOAT: 32, _T.DOUBLE: 64, _T.COMPLEX64: 64, _T.COMPLEX128: 128,
    _T.FLOAT8E4M3FN: 8, _T.FLOAT8E4M3FNUZ: 8, _T.FLOAT8E5M2: 8, _T.FLOAT8E5M2FNUZ: 8, _T.FLOAT8E8M0: 8, _T.UINT4: 4,
    _T.INT4: 4, _T.FLOAT4E2M1: 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """Where the bytes of one external tensor lie: `size` bytes from `offset` of the file `path`."""

    tensor: Any  # the TensorProto
    path: str  # relative to the graph's folder, normalised
    offset: int
    size: int


def is_external(tensor: Any) -> bool:
    """Whether a TensorProto names another file, in whichever of the two ways."""
    return tensor.data_location != _T.DEFAULT or len(tensor.external_data) > 0


def span_of(tensor: Any) -> Span:
    """Where an external tensor says that its bytes lie; ModelRefused when it says so in no acceptable way."""
    what = f"tensor {tensor.name[:80]!r}"
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if tensor.data_location != _T.EXTERNAL or len(entries) != len(tensor.external_data) or not entries.keys() <= _KEYS:
        raise ModelRefused(f"{what} names another file in a way that ONNX does not have; export the model again")
    try:
        path = resolve(entries.get("location", ""))
    except ModelRefused as error:
        raise ModelRefused(f"{what} keeps its data in another file, and {error}") from error
    size = _size(tensor, what)
    offset = _number(entries.get("offset", "0"), what)
    if _number(entries.get("length", str(size)), what) != size:
        raise ModelRefused(f"{what} needs {size} bytes of {path!r} and names {entries['length']}; export it again")
    return Span(tensor, path, offset, size)


def resolve(location: str) -> str:
    """The path, relative to the graph's folder, that a location means; ModelRefused when there is none inside it."""
    parts = location.split("/")
    shown = f"{location[:120]!r}"
    if location.startswith("/") or ".." in parts:
        raise ModelRefused(f"{shown} leaves the model's folder; keep all its files in one folder")
    path = "/".join(part for part in parts if part not in ("", "."))
    try:
        if parts[-1] in ("", "."):  # a folder's name
            raise ValidationError("no file")
        return convert(path, FilePath)
    except ValidationError as error:
        raise ModelRefused(
            f"{shown} is no name that a model's file can have; use letters, digits, '_', '-' and '.' only"
        ) from error


def paths_of(spans: Iterable[Span]) -> tuple[str, ...]:
    """The files that hold the tensors' bytes, each once, sorted; ModelRefused when a model cannot have so many."""
    paths = sorted({span.path for span in spans})
    if len(paths) >= MAX_FILES:  # the graph is one more
        raise ModelRefused(f"the model keeps its data in {len(paths)} files, the most is {MAX_FILES - 1}; join them")
    return tuple(paths)


def check_spans(spans: Sequence[Span], sizes: Mapping[str, int]) -> None:
    """ModelRefused unless every tensor's bytes lie in one of the files, whose sizes in bytes are given by path.

    FilesNeeded, with all that the tensors name, when one is not among them.
    """
    for span in spans:
        size, what = sizes.get(span.path), f"tensor {span.tensor.name[:80]!r}"
        if size is None:
            raise FilesNeeded(
                f"{what} keeps its data in another file, {span.path!r}, which is not among the model's files; add the "
                "folder that has them all",
                paths_of(spans),
            )
        if span.offset + span.size > size:
            raise ModelRefused(
                f"{what} has its data at bytes {span.offset} to {span.offset + span.size} of {span.path!r}, which has "
                f"{size}; fetch or export that file again"
            )


def settle(
    data: bytes, model: Any, spans: Iterable[Span], files: Mapping[str, bytes | mmap]
) -> tuple[bytes, dict[str, bytes | mmap]]:
    """The bytes of the ModelProto with what is small moved into it, and the files that hold the rest. Check first.

    Shapes and axes are small: their values are needed while the graph is loaded, before the runtime looks at files.
    """
    rest, moved = set(), False
    for span in spans:
        if span.size > MAX_INLINED:
            rest.add(span.path)
            continue
        span.tensor.raw_data = bytes(files[span.path][span.offset : span.offset + span.size])
        span.tensor.data_location = _T.DEFAULT
        del span.tensor.external_data[:]
        moved = True
    try:
        return (model.SerializeToString() if moved else data), {path: files[path] for path in sorted(rest)}
    except EncodeError as error:
        raise ModelRefused("the model's graph is too large, with its small tensors inside; export it again") from error


def _size(tensor: Any, what: str) -> int:
    bits = _BITS.get(tensor.data_type)
    if bits is None:
        raise ModelRefused(f"{what} has a type that cannot be kept in another file; save it inside the model")
    if any(dim < 0 for dim in tensor.dims):
        raise ModelRefused(f"{what} has a negative dim; export the model again")
    count = int(0 not in tensor.dims)
    for dim in tensor.dims:
        count *= dim
        if count > 8 * MAX_BLOB:
            raise ModelRefused(f"{what} is larger than any file can be; split it")
    return (count * bits + 7) // 8


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ModelRefused(f"{what} names another file, with {text[:80]!r} for an offset or length; export it again")
    return int(text)
