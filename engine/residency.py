"""Which models are loaded, and which ones go when another needs their place: the least recently used that may go.

Bounded in number, and in the bytes of each memory that they share. A machine without I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .errors import EngineBusy

D = TypeVar("D")


@dataclass(frozen=True)
class Budget(Generic[D]):
    """One memory that models share: the bytes that all may take together, None while nobody knows, and each takes."""

    most: Callable[[], int | None]
    size: Callable[[D], int]


class Residency(Generic[D]):
    """Models and what serves each: at most `most`, and within every budget."""

    def __init__(self, most: int, budgets: Sequence[Budget[D]], may_go: Callable[[D], bool]) -> None:
        self._most, self._budgets, self._may_go = most, budgets, may_go
        self._residents: dict[bytes, D] = {}  # in the order of their last use

    def get(self, model: bytes) -> D | None:
        """What serves `model`, now the most recently used."""
        resident = self._residents.pop(model, None)
        if resident is not None:
            self._residents[model] = resident
        return resident

    def admit(self, model: bytes, resident: D) -> list[D]:
        """Take in a model that is not there; what had to go for it. EngineBusy, and nothing changed, if too few can.

        One that is larger than all of a memory is let in alone: whether it fits is its worker's own bound.
        """
        staying, leaving = dict(self._residents), list[D]()
        for other, candidate in self._residents.items():
            short = self._short(staying, resident)
            full = len(staying) >= self._most
            if not full and not short:
                break
            if self._may_go(candidate) and (full or any(budget.size(candidate) for budget in short)):
                leaving.append(staying.pop(other))
        if len(staying) >= self._most or self._short(staying, resident):
            raise EngineBusy("the memory for models is taken by others at work; try again later, or elsewhere")
        self._residents = staying | {model: resident}
        return leaving

    def _short(self, staying: dict[bytes, D], resident: D) -> list[Budget[D]]:
        """The budgets that these and the new one are beyond, where it would not be alone."""
        short = []
        for budget in self._budgets:
            taken, more = sum(map(budget.size, staying.values())), budget.size(resident)
            if (most := budget.most()) is not None and taken and more and taken + more > most:
                short.append(budget)
        return short

    def remove(self, model: bytes, resident: D) -> None:
        """Forget `model` if it is this one that serves it."""
        if self._residents.get(model) is resident:
            del self._residents[model]

    def items(self) -> list[tuple[bytes, D]]:
        """All, the least recently used first."""
        return list(self._residents.items())
