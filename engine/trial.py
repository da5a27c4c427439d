"""The inputs of a model's first run: all zeros, or all ones, every free dim 1.

A model that loads may still fail at run time (an optimiser's bug shows only there), so it runs once before anyone is
told that it is served.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod

from wire.bounds import MAX_TENSOR_BYTES
from wire.tensors import ITEM_SIZE, DataType, Tensor, TensorSpec

from .errors import ModelRefused

_ONE: dict[DataType, bytes] = {
    "FP16": struct.pack("<e", 1), "FP32": struct.pack("<f", 1), "FP64": struct.pack("<d", 1), "BF16": b"\x80\x3f",
    "BYTES": b"\1\0\0\0" b"1",
}  # fmt: skip


def trial_inputs(specs: Sequence[TensorSpec], *, ones: bool) -> list[Tensor]:
    """One tensor for each spec; ModelRefused when together they are over the bound for one request."""
    tensors, total = [], 0
    for spec in specs:
        shape = [d if isinstance(d, int) else 1 for d in spec.shape]
        size = ITEM_SIZE.get(spec.datatype, 4)  # an empty BYTES element is its length alone
        element = _ONE.get(spec.datatype, (1).to_bytes(size, "little")) if ones else bytes(size)
        total += prod(shape) * len(element)
        if total > MAX_TENSOR_BYTES:
            raise ModelRefused(
                f"one request of this model takes over {MAX_TENSOR_BYTES} bytes, the bound for all inputs"
            )
        tensors.append(Tensor.of(spec.name, spec.datatype, shape, element * prod(shape)))
    return tensors
