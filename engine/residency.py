"""Which models are loaded, and which one goes when another needs its place: the least recently used that is idle.

A machine without I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .errors import EngineBusy

D = TypeVar("D")


class Residency(Generic[D]):
    """Models and what serves each, at most `bound` of them."""

    def __init__(self, bound: int, is_idle: Callable[[D], bool]) -> None:
        self._bound = bound
        self._is_idle = is_idle
        self._residents: dict[bytes, D] = {}  # in the order of their last use

    def get(self, model: bytes) -> D | None:
        """What serves `model`, now the most recently used."""
        resident = self._residents.pop(model, None)
        if resident is not None:
            self._residents[model] = resident
        return resident

    def admit(self, model: bytes, resident: D) -> D | None:
        """Take in a model that is not there; what had to go for it. EngineBusy, and nothing changed, if none can."""
        leaving = None
        if len(self._residents) >= self._bound:
            idle = next((m for m, r in self._residents.items() if self._is_idle(r)), None)
            if idle is None:
                raise EngineBusy(f"all {self._bound} places are taken by models at work; try again later, or elsewhere")
            leaving = self._residents.pop(idle)
        self._residents[model] = resident
        return leaving

    def remove(self, model: bytes, resident: D) -> None:
        """Forget `model` if it is this one that serves it."""
        if self._residents.get(model) is resident:
            del self._residents[model]

    def items(self) -> list[tuple[bytes, D]]:
        """All, the least recently used first."""
        return list(self._residents.items())
