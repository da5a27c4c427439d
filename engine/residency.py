"""Which models are loaded, and which ones go when another needs their place: the least recently used that may go.

Bounded in number and in bytes. A machine without I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .errors import EngineBusy

D = TypeVar("D")


class Residency(Generic[D]):
    """Models and what serves each: at most `most`, and at most `most_bytes` of memory as `size` tells of each."""

    def __init__(self, most: int, most_bytes: int, size: Callable[[D], int], may_go: Callable[[D], bool]) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._size, self._may_go = size, may_go
        self._residents: dict[bytes, D] = {}  # in the order of their last use

    def get(self, model: bytes) -> D | None:
        """What serves `model`, now the most recently used."""
        resident = self._residents.pop(model, None)
        if resident is not None:
            self._residents[model] = resident
        return resident

    def admit(self, model: bytes, resident: D) -> list[D]:
        """Take in a model that is not there; what had to go for it. EngineBusy, and nothing changed, if too few can.

        One that is larger than all of the memory is let in alone: whether it fits is its worker's own bound.
        """
        places = self._most - len(self._residents)
        room = self._most_bytes - self.size - self._size(resident)
        leaving: list[bytes] = []
        for other, candidate in self._residents.items():
            if places > 0 and room >= 0:
                break
            if self._may_go(candidate):
                leaving.append(other)
                places, room = places + 1, room + self._size(candidate)
        if places <= 0 or (room < 0 and len(leaving) < len(self._residents)):
            raise EngineBusy("the memory for models is taken by others at work; try again later, or elsewhere")
        gone = [self._residents.pop(other) for other in leaving]
        self._residents[model] = resident
        return gone

    def remove(self, model: bytes, resident: D) -> None:
        """Forget `model` if it is this one that serves it."""
        if self._residents.get(model) is resident:
            del self._residents[model]

    def items(self) -> list[tuple[bytes, D]]:
        """All, the least recently used first."""
        return list(self._residents.items())

    @property
    def size(self) -> int:
        """Bytes that all of them take."""
        return sum(map(self._size, self._residents.values()))
