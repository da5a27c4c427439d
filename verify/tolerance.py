"""Whether two executions of one model agree: floats within a tolerance, everything else bit for bit.

The measure is max|Δ| / max|y|, per tensor, with y the verifier's own: units in the last place mean nothing near zero.
Honest machines differ by up to 7e-7 in FP32, the mildest cheat (FP16 weights) by 2e-4. What is not finite fails closed,
on either side, even when both sides are the same: NaN would otherwise be a cheap answer that agrees with itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wire.arrays import as_float
from wire.tensors import ITEM_SIZE, Tensor

from .bounds import BLOCK
from .distance import IDENTICAL, INCOMPARABLE, bucket

_FLOATS = ("FP16", "BF16", "FP32", "FP64")
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`distance` is a bucket as `wire.vote.Reveal` defines it; `reason` a sentence for a person."""

    agrees: bool
    distance: int
    reason: str


def compare(own: Sequence[Tensor], other: Sequence[Tensor], tolerance: float) -> Comparison:
    """`other` (the provider's outputs) against `own`: names, types and shapes alike, then values, tensor by tensor.

    The first tensor that disagrees ends it. RecordError when a tensor's bytes are not what its header says.
    """
    for tensor in (*own, *other):
        tensor.check()
    if [t.header for t in own] != [t.header for t in other]:
        # BYTES tensors of one shape may differ in size: then they differ in content, and this says so as well.
        return Comparison(False, INCOMPARABLE, "the outputs differ in names, types, shapes or sizes")
    worst, distance = 0.0, IDENTICAL
    for mine, theirs in zip(own, other, strict=True):
        identical = bytes(mine.data) == bytes(theirs.data)  # one memcmp; comparing memoryviews takes 50 times as long
        if mine.header.datatype not in _FLOATS:
            if not identical:
                return Comparison(False, INCOMPARABLE, f"{mine.name} differs; {mine.header.datatype} must be equal")
            continue
        relative = _relative(mine, theirs)
        if relative is None:
            return Comparison(False, INCOMPARABLE, f"{mine.name} holds NaN or Inf")
        if not identical:
            worst, distance = max(worst, relative), max(distance, bucket(relative))
        if relative > tolerance:
            return Comparison(False, distance, f"{mine.name} differs by {relative:.1e}, the tolerance is {tolerance:g}")
    if distance == IDENTICAL:
        return Comparison(True, IDENTICAL, "bit for bit the same")
    return Comparison(True, distance, f"the same within {worst:.1e}, the tolerance is {tolerance:g}")


def _relative(own: Tensor, other: Tensor) -> float | None:
    """max|Δ| / max|y|, Inf where y is zero and Δ is not; None when either holds NaN or Inf."""
    largest = difference = 0.0
    for mine, theirs in zip(_blocks(own), _blocks(other), strict=True):
        if not (np.isfinite(mine).all() and np.isfinite(theirs).all()):
            return None
        with np.errstate(over="ignore"):  # two finite numbers can be infinitely far apart: Inf is then the answer
            difference = max(difference, float(np.abs(theirs - mine).max()))
        largest = max(largest, float(np.abs(mine).max()))
    if difference == 0.0:
        return 0.0
    return difference / largest if largest else float("inf")


def _blocks(tensor: Tensor) -> Iterator[_Floats]:
    """The tensor's numbers as float64, `BLOCK` at a time."""
    view, size = memoryview(tensor.data).cast("B"), ITEM_SIZE[tensor.header.datatype]
    for at in range(0, len(view), BLOCK * size):
        piece = view[at : at + BLOCK * size]
        yield as_float(Tensor.of(tensor.name, tensor.header.datatype, (len(piece) // size,), piece))
