"""Tensors to and from numpy, apart from `tensors` so that a peer which computes nothing need not load numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import RecordError
from .tensors import DataType, Tensor, join_bytes, split_bytes

Array = npt.NDArray[Any]
# BF16 has no numpy type of its own: it stays in its 16 bits here, and `as_float` widens it exactly.
_TO_NUMPY: dict[str, str] = {
    "BOOL": "?", "UINT8": "|u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "|i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "BF16": "<u2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_FROM_NUMPY: dict[str, DataType] = {
    "b1": "BOOL", "u1": "UINT8", "u2": "UINT16", "u4": "UINT32", "u8": "UINT64", "i1": "INT8", "i2": "INT16",
    "i4": "INT32", "i8": "INT64", "f2": "FP16", "f4": "FP32", "f8": "FP64",
}  # fmt: skip


def to_array(tensor: Tensor) -> Array:
    """A read-only view of the tensor's bytes, without a copy; BYTES become an object array of `bytes`."""
    header = tensor.header
    if header.datatype == "BYTES":
        flat = np.empty(int(np.prod(header.shape, dtype=np.int64)), dtype=object)
        flat[:] = split_bytes(tensor.data)
        return flat.reshape(header.shape)
    array = np.frombuffer(tensor.data, dtype=_TO_NUMPY[header.datatype]).reshape(header.shape)
    array.flags.writeable = False
    return array


def from_array(name: str, array: Array, datatype: DataType | None = None) -> Tensor:
    """The tensor of a numpy array (little-endian, row-major). Objects and strings become BYTES.

    `datatype` is needed only for BF16, whose array is uint16. RecordError for a type that tensors do not have.
    """
    if array.dtype.kind in "OSU":
        elements = [e if isinstance(e, bytes) else str(e).encode() for e in array.reshape(-1).tolist()]
        return Tensor.of(name, "BYTES", array.shape, join_bytes(elements))
    found = _FROM_NUMPY.get(f"{array.dtype.kind}{array.dtype.itemsize}")
    if found is None:
        raise RecordError(f"{name}: arrays of {array.dtype} cannot be sent; tensors hold {', '.join(_TO_NUMPY)}")
    kind = datatype or found
    flat = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return Tensor.of(name, kind, array.shape, flat.tobytes())


def as_float(tensor: Tensor) -> npt.NDArray[np.float64]:
    """The tensor's numbers as float64, for comparison; exact for every type but 64-bit integers beyond 2**53."""
    array = to_array(tensor)
    if tensor.header.datatype == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(invalid="ignore"):  # a signalling NaN stays a NaN; whose bits a peer chose, so no warning
        return array.astype(np.float64)
