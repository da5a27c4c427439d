"""The runtimes that execute a model, one a module. Worker side only: the node never imports one.

A backend is made from a model's bytes and can do three things; `Session` is all the worker knows of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from wire.inference import Backend
from wire.tensors import Tensor


class Session(Protocol):
    """One model, loaded and ready."""

    @property
    def backend(self) -> Backend:
        """What executes here, as receipts name it."""

    def output_shapes(self) -> Mapping[str, Sequence[int | str | None]]:
        """The outputs' shapes as the runtime infers them; an empty one may be a scalar's, or not known."""

    def run(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], int]:
        """The outputs in the model's order, and the microseconds the execution took; ModelFailed on this input."""
