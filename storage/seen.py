"""How often a model was pulled and called, as far as this peer saw: a hint for people, and never a proof.

Counted only for models that are in this store or in the catalogue, and forgotten with them, so that nothing that a
stranger makes up can fill the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import StoreDamaged

if TYPE_CHECKING:
    from .environment import Txn


@dataclass(frozen=True)
class Seen:
    """How often others fetched the model from here, and how many answers this peer gave with it, or got."""

    pulls: int
    calls: int


class SeenCounts:
    """The counts of this peer. `get` is short; `add` blocks until they are on disk."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._counts = environment.table("counts")  # model: hash, pulls (8), calls (8)
        self._models, self._known = environment.table("models"), environment.table("known")

    def add(self, counts: Mapping[bytes, tuple[int, int]]) -> None:
        """Add to each model's (pulls, calls); models that are neither here nor known are left out. Blocks.

        ValueError for a negative number.
        """
        if any(min(more) < 0 for more in counts.values()):
            raise ValueError("what was seen cannot become less")

        def work(txn: Txn) -> None:
            for model, (pulls, calls) in counts.items():
                if self._is_known(txn, model):
                    seen = self._read(txn, model)
                    sums = (min(seen.pulls + pulls, bounds.MAX_COUNT), min(seen.calls + calls, bounds.MAX_COUNT))
                    data = b"".join(number.to_bytes(8, "big") for number in sums)
                    txn.put(model, with_hash(data), db=self._counts)

        self._environment.write(work)

    def get(self, model: bytes) -> Seen:
        """What was seen of the model; zeros when nothing was, or when that is damaged on disk."""
        with self._environment.read() as txn:
            return self._read(txn, model)

    def settle(self, txn: Txn, model: bytes) -> None:
        """In a transaction in which a model left the store or the catalogue: forget it when it is in neither."""
        if not self._is_known(txn, model):
            txn.delete(model, db=self._counts)

    def _is_known(self, txn: Txn, model: bytes) -> bool:
        return any(txn.get(model, db=table) is not None for table in (self._models, self._known))

    def _read(self, txn: Txn, model: bytes) -> Seen:
        stored = txn.get(model, db=self._counts) if model else None
        try:
            data = bytes(16) if stored is None else without_hash(stored, "A count")
        except StoreDamaged:
            data = bytes(16)
        return Seen(pulls=int.from_bytes(data[:8], "big"), calls=int.from_bytes(data[8:], "big"))
