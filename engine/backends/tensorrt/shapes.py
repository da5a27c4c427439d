"""Optimisation profiles: for each input the smallest, the usual and the largest shape that an engine is built for.

A free dim that stands first in some input counts rows, and goes as far as requests are joined; any other is a length.
Dims of one name are one dim, so they get one range wherever they stand. No TensorRT here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import BeyondHere, ModelFailed
from ...messages import Sizes

Dim = int | str | None  # fixed, named, free without a name
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The shapes of one input. The usual one is what kernels are chosen for."""

    least: Shape
    usual: Shape
    most: Shape

    @property
    def is_free(self) -> bool:
        """Whether there is anything to choose."""
        return self.least != self.most


def ranges_of(inputs: Mapping[str, Sequence[Dim]], sizes: Sizes) -> dict[str, Range]:
    """A range for every input, by name.

    Kernels are chosen for full batches, since that is what waits under load, and for a quarter of the longest length.
    """
    rows = {dims[0] for dims in inputs.values() if dims and isinstance(dims[0], str)}

    def ends(place: int, dim: Dim) -> tuple[int, int, int]:
        if isinstance(dim, int):
            return dim, dim, dim
        if dim in rows or (dim is None and place == 0):
            return 1, sizes.rows, sizes.rows
        return 1, max(1, sizes.length // 4), sizes.length

    return {
        name: Range(*(tuple(end) for end in zip(*(ends(i, dim) for i, dim in enumerate(dims)), strict=True)))
        if dims
        else Range((), (), ())
        for name, dims in inputs.items()
    }


def check_shape(name: str, shape: Sequence[int], built: Range) -> None:
    """ModelFailed for an input with no elements, BeyondHere for one that is larger than the engine was built for."""
    for dim, least, most in zip(shape, built.least, built.most, strict=True):
        if dim < least:
            raise ModelFailed(f"{name} has shape {list(shape)}; TensorRT executes nothing of size 0, send one at least")
        if dim > most:
            raise BeyondHere(
                f"{name} has shape {list(shape)}, and this peer's engine was built for up to {list(built.most)}; send "
                "less at once, or ask another peer"
            )
