"""The inputs of a benchmark: different ones that take turns, the same on every machine.

Each is drawn by a generator seeded with the model and its own number, so that two measurers ask the same questions and
a provider cannot answer all of them from one memory. A model may fail on whole numbers that it takes for an index or a
size, and have no finite answer for numbers below zero, so there is a wide range and a narrow one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from wire.arrays import Array, from_array
from wire.bounds import MAX_TENSOR_BYTES
from wire.cid import content_hash
from wire.tensors import ITEM_SIZE, Tensor, TensorSpec

from ..errors import CommandError, Exit

# Whole numbers are drawn from 0 up to this, exclusive; floats from the normal distribution, or from 0 up to 1.
WIDE, NARROW = 256, 2
# Free dims by name; every other one is 1, as in an engine's trial run.
DIMS = {
    "sequence": 32, "sequence_length": 32, "seq": 32, "seq_len": 32, "prompt": 32, "tokens": 32,
    "height": 224, "width": 224, "h": 224, "w": 224, "channels": 3, "stops": 0,
}  # fmt: skip
# What a generator's inputs mean (max_tokens and the rest), so that each answer is of one length and can be repeated.
_SETTINGS = {"max_tokens": 32, "temperature": 0.0, "top_k": 0, "top_p": 1.0}
_WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "seven", "wizards", "judge"]
_NUMPY = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8", "INT8": "i1", "INT16": "i2",
    "INT32": "i4", "INT64": "i8", "FP16": "f2", "FP32": "f4", "FP64": "f8",
}  # fmt: skip


def sizes(specs: Sequence[TensorSpec], given: Mapping[str, int]) -> list[tuple[int, ...]]:
    """The inputs' shapes, the free dims as `given`, else as `DIMS` has them, else 1; CommandError for what cannot be.

    A dim that `given` names and no input has is a mistake on the command line.
    """
    free = {dim for spec in specs for dim in spec.shape if isinstance(dim, str)}
    if unknown := sorted(set(given) - free):
        has = f"It has {', '.join(sorted(free))}." if free else "All its dims are fixed."
        raise CommandError(Exit.USAGE, f"the model has no free dim {unknown[0]!r}", has)
    shapes = [
        tuple(d if isinstance(d, int) else given.get(d, DIMS.get(d.lower(), 1)) for d in spec.shape) for spec in specs
    ]
    size = sum(prod(s) * ITEM_SIZE.get(spec.datatype, 64) for s, spec in zip(shapes, specs, strict=True))
    if size > MAX_TENSOR_BYTES:
        raise CommandError(
            Exit.USAGE, f"one request would take {size} bytes, the bound is {MAX_TENSOR_BYTES}", "Give smaller --dim."
        )
    return shapes


def draw(
    model: bytes, number: int, specs: Sequence[TensorSpec], shapes: Sequence[tuple[int, ...]], below: int
) -> list[Tensor]:
    """Input `number` of the model (its 32 bytes); `below` is `WIDE` or `NARROW`."""
    seed = content_hash(b"hallmark benchmark\0" + model + number.to_bytes(8, "big"))
    random = np.random.Generator(np.random.PCG64(int.from_bytes(seed, "big")))
    return [_tensor(random, spec, shape, below) for spec, shape in zip(specs, shapes, strict=True)]


def _tensor(random: np.random.Generator, spec: TensorSpec, shape: tuple[int, ...], below: int) -> Tensor:
    if spec.datatype == "BYTES":
        texts = [" ".join(random.choice(_WORDS, 12)).encode() for _ in range(prod(shape))]
        flat = np.empty(len(texts), dtype=object)
        flat[:] = texts
        return from_array(spec.name, flat.reshape(shape))
    if spec.datatype == "BF16":
        bits = _floats(random, shape, below).view(np.uint32) >> 16
        return from_array(spec.name, bits.astype(np.uint16), "BF16")
    kind = np.dtype(_NUMPY[spec.datatype])
    array: Array
    if spec.name in _SETTINGS:
        array = np.full(shape, _SETTINGS[spec.name])
    elif kind.kind == "f":
        array = _floats(random, shape, below)
    else:
        most = 2 if kind.kind == "b" else min(below, np.iinfo(kind).max + 1)
        array = random.integers(0, most, shape)
    return from_array(spec.name, array.astype(kind))


def _floats(random: np.random.Generator, shape: tuple[int, ...], below: int) -> npt.NDArray[np.float32]:
    if below == NARROW:
        return random.random(shape, dtype=np.float32)
    return random.standard_normal(shape, dtype=np.float32)
