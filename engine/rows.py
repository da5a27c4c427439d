"""Requests as rows of one execution: which models allow it, how their bytes are joined, and how outputs are parted.

Row-major tensors are joined along their first dim by joining their bytes, so the node needs neither numpy nor a
second look. A signature only permits it; that one row's result does not depend on the others is shown by a trial.
"""

from __future__ import annotations

import array
import math
import random
import struct
from collections.abc import Iterator, Sequence

from wire.bounds import MAX_TENSOR_BYTES
from wire.errors import RecordError
from wire.tensors import ITEM_SIZE, Data, DataType, Tensor, TensorSpec

from .messages import Signature

Alike = tuple[tuple[int, ...], ...]  # what requests of one execution share: each input's dims behind the first

TRIAL_ROWS = 3
# max|Δ| / max|y| within which a row counts as the same alone and in company: another kernel may run for another size.
_SAME: dict[DataType, float] = {"FP16": 1e-2, "BF16": 5e-2, "FP32": 1e-4, "FP64": 1e-9}


def permits_rows(signature: Signature) -> bool:
    """Whether every input and output has the same named first dim, which stands nowhere else."""
    specs = (*signature.inputs, *signature.outputs)
    first = {spec.shape[0] if spec.shape else 0 for spec in specs}
    if len(first) != 1 or not isinstance(name := first.pop(), str):
        return False
    return all(name not in spec.shape[1:] for spec in specs)


def alike(inputs: Sequence[Tensor]) -> Alike:
    """What another request must share to be executed together with this one."""
    return tuple(tensor.header.shape[1:] for tensor in inputs)


def rows_of(inputs: Sequence[Tensor]) -> int:
    """How many rows a request has; 0 when its inputs do not agree (then the model itself shall say what is wrong)."""
    counts = {tensor.header.shape[0] for tensor in inputs}
    return counts.pop() if len(counts) == 1 else 0


def join(requests: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """One request's inputs that hold the rows of all, in order; they are `alike`, and each has rows."""
    if len(requests) == 1:
        return list(requests[0])
    rows = sum(rows_of(request) for request in requests)
    joined = []
    for parts in zip(*requests, strict=True):
        header = parts[0].header
        data = b"".join(part.data for part in parts)
        joined.append(Tensor.of(header.name, header.datatype, (rows, *header.shape[1:]), data))
    return joined


def part(outputs: Sequence[Tensor], rows: Sequence[int]) -> list[tuple[Tensor, ...]] | None:
    """Each request's share of the outputs, whose bytes are not copied; None when they have another number of rows."""
    if any(not t.header.shape or t.header.shape[0] != sum(rows) for t in outputs):
        return None
    columns = [list(_slices(tensor, rows)) for tensor in outputs]
    return [tuple(column[i] for column in columns) for i in range(len(rows))]


def _slices(tensor: Tensor, rows: Sequence[int]) -> Iterator[Tensor]:
    header, view, at = tensor.header, memoryview(tensor.data).cast("B"), 0
    in_row = math.prod(header.shape[1:])
    for count in rows:
        end = at
        if header.datatype == "BYTES":
            for _ in range(count * in_row):
                end += 4 + int.from_bytes(view[end : end + 4], "little")
        else:
            end += count * in_row * ITEM_SIZE[header.datatype]
        yield Tensor.of(header.name, header.datatype, (count, *header.shape[1:]), view[at:end])
        at = end


def trial_rows(specs: Sequence[TensorSpec]) -> list[list[Tensor]]:
    """Requests of one row each, all different: small numbers, so that what is an index stays one."""
    draw = random.Random(0)  # the same every time
    return [[_row(spec, draw) for spec in specs] for _ in range(TRIAL_ROWS)]


def _row(spec: TensorSpec, draw: random.Random) -> Tensor:
    shape = [d if isinstance(d, int) else 1 for d in spec.shape]
    count = math.prod(shape)
    if count * ITEM_SIZE.get(spec.datatype, 5) * TRIAL_ROWS > MAX_TENSOR_BYTES:
        raise RecordError("so large a row leaves no room for company")
    match spec.datatype:
        case "FP32":
            data: Data = array.array("f", (draw.gauss() for _ in range(count))).tobytes()
        case "FP64":
            data = array.array("d", (draw.gauss() for _ in range(count))).tobytes()
        case "FP16":
            data = struct.pack(f"<{count}e", *(draw.gauss() for _ in range(count)))
        case "BF16":
            data = b"".join(struct.pack("<f", draw.gauss())[2:] for _ in range(count))
        case "BYTES":
            data = b"".join(b"\1\0\0\0" + draw.choice((b"a", b"b")) for _ in range(count))
        case datatype:
            data = b"".join(draw.choice((0, 1)).to_bytes(ITEM_SIZE[datatype], "little") for _ in range(count))
    return Tensor.of(spec.name, spec.datatype, shape, data)


def same(one: Sequence[Tensor], other: Sequence[Tensor], share: float | None = None) -> bool:
    """Whether two requests' outputs agree: in every bit, or in floats within `share` of the largest of them.

    Without a `share` that is what another kernel on the same processor may change.
    """
    return all(_agree(a, b, share) for a, b in zip(one, other, strict=True))


def _agree(one: Tensor, other: Tensor, share: float | None) -> bool:
    if one.header != other.header:
        return False
    if bytes(one.data) == bytes(other.data):
        return True
    datatype = one.header.datatype
    if datatype not in _SAME:
        return False
    a, b = _floats(one), _floats(other)
    limit = (_SAME[datatype] if share is None else share) * max(map(abs, a), default=0.0)
    # never with a NaN or an infinity among them
    return math.isfinite(limit) and all(abs(x - y) <= limit for x, y in zip(a, b, strict=True))


def _floats(tensor: Tensor) -> Sequence[float]:
    data = bytes(tensor.data)
    match tensor.header.datatype:
        case "FP32":
            return array.array("f", data)
        case "FP64":
            return array.array("d", data)
        case "FP16":
            return struct.unpack(f"<{len(data) // 2}e", data)
    widened = b"".join(b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2))  # BF16 is FP32's upper half
    return array.array("f", widened)
