"""Which models are copies that nobody here asked for, and which were removed by hand and are not to come back.

Written in the transactions in which models come and go: a crash never leaves a copy that counts as somebody's wish,
nor the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .environment import Environment

if TYPE_CHECKING:
    from .environment import Txn

_REFUSED = bytes(8)  # in place of a time


class Mirrored:
    """Marks on models. Reads are short."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._marks = environment.table("mirrored")  # model: since (8, ms), zeros when it was removed by hand

    def copies(self) -> dict[bytes, int]:
        """The models that are copies, each with the time it came (ms since 1970)."""
        return {model: int.from_bytes(since, "big") for model, since in self._all() if since != _REFUSED}

    def refused(self) -> set[bytes]:
        """The models that were removed by hand, and have not been added or pulled since."""
        return {model for model, since in self._all() if since == _REFUSED}

    def came(self, txn: Txn, model: bytes, since_ms: int) -> None:
        """In a transaction in which a model came: a copy since then, or, with 0, one that somebody here wants."""
        if since_ms:
            txn.put(model, since_ms.to_bytes(8, "big"), db=self._marks)
        else:
            txn.delete(model, db=self._marks)

    def went(self, txn: Txn, model: bytes, *, by_hand: bool) -> None:
        """In a transaction in which a model was removed."""
        if by_hand:
            txn.put(model, _REFUSED, db=self._marks)
        else:
            txn.delete(model, db=self._marks)

    def _all(self) -> list[tuple[bytes, bytes]]:
        with self._environment.read() as txn:
            return [(bytes(model), bytes(since)) for model, since in txn.cursor(self._marks).iternext()]
