"""What a user gives as inputs, made into the tensors that the model wants.

A value is JSON on the command line, or a file: `.npy` (the user's own; pickles are refused), `.json`, or raw bytes.
Raw bytes take the model's datatype, and where one dim is free its size follows from their number. A number or a text
alone is a tensor of one element, and a text needs no quotes. What a generator is not told has a usual value.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from wire.arrays import Array, from_array
from wire.errors import RecordError
from wire.generation import generator_signature
from wire.tensors import ITEM_SIZE, Tensor, TensorSpec, check_headers

from .bounds import MAX_FILE_INPUT, MAX_NESTING
from .errors import CommandError, Exit

_NUMPY = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8", "INT8": "i1", "INT16": "i2",
    "INT32": "i4", "INT64": "i8", "FP16": "f2", "FP32": "f4", "FP64": "f8", "BYTES": "O",
}  # fmt: skip

Given = tuple[str, bytes]  # how to read it ("npy", "json" or "raw"), and the bytes

_GENERATORS = [generator_signature(has_text=has_text)[0] for has_text in (True, False)]
_USUAL: dict[str, Given] = {
    "max_tokens": ("json", b"128"), "temperature": ("json", b"0"), "top_k": ("json", b"0"), "top_p": ("json", b"1"),
    "seed": ("json", b"0"), "stop": ("json", b"[]"),
}  # fmt: skip


def read_input(text: str) -> tuple[str, Given]:
    """`NAME=VALUE` or `NAME=@FILE` from the command line; CommandError says what is wrong with it."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise CommandError(Exit.USAGE, f"--input {text!r} is not NAME=VALUE or NAME=@FILE")
    if not value.startswith("@"):
        return name, ("json", value.encode())
    path = Path(value[1:])
    try:
        path = path.expanduser()
        if path.stat().st_size > MAX_FILE_INPUT:
            raise CommandError(Exit.USAGE, f"{path} is over {MAX_FILE_INPUT} bytes, the most one request may carry")
        data = path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: the home of a user who does not exist
        raise CommandError(Exit.NOT_FOUND, f"{path} cannot be read: {error}") from error
    return name, ({".npy": "npy", ".json": "json"}.get(path.suffix, "raw"), data)


def make_tensors(given: Mapping[str, Given], specs: Sequence[TensorSpec]) -> list[Tensor]:
    """The model's input tensors in its own order; CommandError names the input that does not fit."""
    names = {spec.name for spec in specs}
    usual = _USUAL if tuple(specs) in _GENERATORS else {}
    if not names - set(usual) <= set(given) <= names:
        wanted = ", ".join(f"{s.name} ({s.datatype} {list(s.shape)})" for s in specs)
        raise CommandError(Exit.USAGE, f"inputs given: {', '.join(given) or 'none'}", f"The model wants: {wanted}")
    tensors = []
    for spec in specs:
        how, data = given.get(spec.name) or usual[spec.name]
        try:
            tensors.append(_make_one(spec, how, data))
        except Exception as error:  # numpy raises a dozen kinds for a broken file; the user is told of each alike
            text = str(error) or type(error).__name__
            raise CommandError(Exit.USAGE, f"input {spec.name}: {text}") from error
    try:
        check_headers([t.header for t in tensors], specs, "inputs")
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error)) from error
    return tensors


def _make_one(spec: TensorSpec, how: str, data: bytes) -> Tensor:
    if how == "raw":
        return _from_raw(spec, data)
    if how == "npy":
        return _matching(spec, _from_npy(data))
    if spec.datatype == "BYTES" and not data.lstrip().startswith((b"[", b"{", b'"')):
        return _from_raw(spec, data)
    if _nesting(data) > MAX_NESTING:  # the parser goes down a level of the C stack for each
        raise ValueError(f"lists within lists, over {MAX_NESTING} deep")
    value = json.loads(data)
    if not isinstance(value, list):
        for _ in spec.shape:
            value = [value]
    if spec.datatype == "BYTES":
        texts = np.array(value, dtype=object)
        if not all(isinstance(text, str) for text in texts.flat):
            raise ValueError("not texts in rows of equal length")
        return from_array(spec.name, texts)
    if spec.datatype == "BF16":
        raise ValueError("BF16 values are given as raw bytes")
    return from_array(spec.name, _exact(value, _NUMPY[spec.datatype]))


def _nesting(data: bytes) -> int:
    """How deep the brackets of a JSON text go at the most; brackets within its strings are counted too."""
    deepest = depth = 0
    for at in range(0, len(data), 1 << 20):
        letters = np.frombuffer(data[at : at + (1 << 20)], dtype=np.uint8)
        steps = np.isin(letters, (0x5B, 0x7B)).astype(np.int32) - np.isin(letters, (0x5D, 0x7D))
        levels = depth + np.cumsum(steps)
        deepest, depth = max(deepest, int(levels.max())), int(levels[-1])
    return deepest


def _from_npy(data: bytes) -> Array:
    """The array in a `.npy` file. What its header claims is held against the file's size before it is believed."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("the file holds Python objects (a pickle), which are never loaded")
    if prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"the file is cut short or too long: it should hold {dtype} {list(shape)}")
    file.seek(0)
    array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _matching(spec: TensorSpec, array: Array) -> Tensor:
    tensor = from_array(spec.name, array, "BF16" if spec.datatype == "BF16" and array.dtype == np.uint16 else None)
    if tensor.header.datatype != spec.datatype:
        raise ValueError(f"the file holds {tensor.header.datatype}, the model wants {spec.datatype}")
    return tensor


def _exact(value: object, kind: str) -> Array:
    """Numbers written by hand may be widened or rounded to a float type, but never cut to an integer type."""
    wanted = np.dtype(kind)
    if wanted.kind in "iu":
        return _whole(value, wanted)
    array = np.array(value)
    if array.dtype.kind not in "biuf":
        raise ValueError("not numbers in rows of equal length")
    if wanted.kind == "b" and not ((array == 0) | (array == 1)).all():
        raise ValueError("the model wants true or false")
    with np.errstate(over="ignore"):
        made: Array = array.astype(wanted)
    if wanted.kind == "f" and np.isinf(made).sum() != np.isinf(array).sum():
        raise ValueError(f"a number is outside what {wanted} can hold")
    return made


def _whole(value: object, wanted: np.dtype[Any]) -> Array:
    numbers = np.array(value, dtype=object)  # Python's integers: numpy would make floats of the widest ones
    if not all(isinstance(number, int) for number in numbers.flat):
        raise ValueError(f"the model wants whole numbers ({wanted}), in rows of equal length")
    bounds = np.iinfo(wanted)
    if not all(bounds.min <= number <= bounds.max for number in numbers.flat):
        raise ValueError(f"a number is outside {bounds.min} … {bounds.max}")
    return numbers.astype(wanted)


def _from_raw(spec: TensorSpec, data: bytes) -> Tensor:
    if spec.datatype == "BYTES":
        shape = [d if isinstance(d, int) else 1 for d in spec.shape]
        if prod(shape) != 1:
            raise ValueError("a text, or a raw file, is one element; this input holds several: give JSON")
        return Tensor.of(spec.name, "BYTES", shape, len(data).to_bytes(4, "little") + data)
    free = [i for i, d in enumerate(spec.shape) if not isinstance(d, int)]
    if len(free) > 1:
        raise ValueError("several dims are free: give a .npy file, whose shape is written in it")
    fixed = prod(d for d in spec.shape if isinstance(d, int)) * ITEM_SIZE[spec.datatype]
    rows, rest = divmod(len(data), fixed) if fixed else (0, len(data))
    if rest or (not free and rows != 1):
        raise ValueError(f"{len(data)} bytes do not fill {spec.datatype} {list(spec.shape)}")
    return Tensor.of(spec.name, spec.datatype, [d if isinstance(d, int) else rows for d in spec.shape], data)
