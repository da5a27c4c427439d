"""Pinned models: what may not be removed, so that its blobs are never collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.cid import to_cid

from .environment import Environment
from .errors import StoreError

if TYPE_CHECKING:
    from .environment import Txn


class Pins:
    """The pins of this peer, at most one a model. `pin` and `unpin` block until they are on disk."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._pins = environment.table("pins")  # model: nothing
        self._models = environment.table("models")

    def pin(self, model: bytes) -> bool:
        """Pin a model; False when it was pinned already. StoreError when its manifest is not here. Blocks."""

        def work(txn: Txn) -> bool:
            if txn.get(model, db=self._models) is None:
                raise StoreError(f"The model {to_cid(model)} is not in the store. Pull it first.")
            return txn.put(model, b"", db=self._pins, overwrite=False)

        return self._environment.write(work)

    def unpin(self, model: bytes) -> bool:
        """Take the pin away; False when there was none. Blocks."""
        return self._environment.write(lambda txn: txn.delete(model, db=self._pins))

    def has(self, model: bytes) -> bool:
        """Whether the model is pinned."""
        with self._environment.read() as txn:
            return txn.get(model, db=self._pins) is not None

    def all(self) -> set[bytes]:
        """The pinned models."""
        with self._environment.read() as txn:
            return {bytes(key) for key in txn.cursor(self._pins).iternext(values=False)}
