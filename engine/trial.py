"""The inputs of a model's first run: all zeros, or all ones, every free dim 1; and of a generator's.

A model that loads may still fail at run time (an optimiser's bug shows only there), so it runs once before anyone is
told that it is served.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod

from wire.bounds import MAX_TENSOR_BYTES
from wire.generation import PROMPT
from wire.tensors import ITEM_SIZE, DataType, Tensor, TensorSpec, join_bytes

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


_PARAMETERS = {
    "max_tokens": ("i", 1), "temperature": ("f", 0.0), "top_k": ("i", 0), "top_p": ("f", 1.0), "seed": ("Q", 0),
}  # fmt: skip


def generation_trial(specs: Sequence[TensorSpec], tokens: int) -> list[Tensor]:
    """A generator's inputs that ask for one token after a prompt of about so many; most words are a token or two."""
    tensors = []
    for spec in specs:
        if spec.name == PROMPT.name:
            tensors.append(Tensor.of(spec.name, "BYTES", (1,), join_bytes([b" ".join([b"1"] * max(1, tokens // 2))])))
        elif spec.name in _PARAMETERS:
            code, value = _PARAMETERS[spec.name]
            tensors.append(Tensor.of(spec.name, spec.datatype, (1,), struct.pack(f"<{code}", value)))
        elif spec.datatype == "BYTES":  # no stop texts
            tensors.append(Tensor.of(spec.name, "BYTES", (0,), b""))
        else:
            tensors.append(Tensor.of(spec.name, "INT64", (1, tokens), struct.pack("<q", 1) * tokens))
    return tensors
