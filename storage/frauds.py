"""Fraud files by their digest, so that who was caught once can be shown to anybody, whenever somebody asks.

They are evidence that nobody else may have. Of one culprit and kind a few are enough, and one kind's crowd, which
costs its makers nothing, never pushes out another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire.fraud import MAX_FRAUD_FILE

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment

if TYPE_CHECKING:
    from .environment import Txn


@dataclass(frozen=True, slots=True)
class Kept:
    """One fraud file here: its digest, its kind (a number), who did it (an address), since when it is here."""

    digest: bytes
    kind: int
    culprit: bytes
    kept_ms: int


class Frauds:
    """`get` takes as long as the file is; `put` and `remove` block until they are on disk."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._files = environment.table("frauds")  # digest: hash, file
        self._kept = environment.table("fraud_order")  # kind (1), time (8), digest: culprit

    def put(self, kept: Kept, data: bytes) -> bool:
        """Keep an encoded fraud file, which the caller has checked; whether it is kept. Blocks.

        Not where it is here already, nor where `MAX_FRAUDS_OF_ONE` of the kind are known of its culprit. Beyond
        `MAX_FRAUDS` of a kind the oldest goes. ValueError over `MAX_FRAUD_FILE` bytes.
        """
        if len(data) > MAX_FRAUD_FILE:
            raise ValueError(f"a fraud file of {len(data)} bytes, the bound is {MAX_FRAUD_FILE}")

        def work(txn: Txn) -> bool:
            alike = [(place, one) for place, one in self._all(txn) if one.kind == kept.kind]
            of_culprit = [one for _, one in alike if one.culprit == kept.culprit]
            known = txn.get(kept.digest, db=self._files) is not None
            if known or len(of_culprit) >= bounds.MAX_FRAUDS_OF_ONE:
                return False
            if len(alike) >= bounds.MAX_FRAUDS:
                place, oldest = alike[0]
                txn.delete(place, db=self._kept)
                txn.delete(oldest.digest, db=self._files)
            txn.put(kept.digest, with_hash(data), db=self._files)
            place = bytes([kept.kind]) + kept.kept_ms.to_bytes(8, "big") + kept.digest
            txn.put(place, kept.culprit, db=self._kept)
            return True

        return self._environment.write(work)

    def get(self, digest: bytes) -> bytes | None:
        """The fraud file's bytes, or None. StoreDamaged when they are not what was written."""
        with self._environment.read() as txn:
            stored = txn.get(digest, db=self._files) if digest else None
            return None if stored is None else without_hash(stored, f"The fraud file {digest.hex()}")

    def all(self) -> list[Kept]:
        """What is here, by kind and then the oldest first."""
        with self._environment.read() as txn:
            return [kept for _, kept in self._all(txn)]

    def remove(self, digest: bytes) -> bool:
        """Forget a fraud file; False when it was not here. Blocks."""

        def work(txn: Txn) -> bool:
            for place, kept in list(self._all(txn)):
                if kept.digest == digest:
                    txn.delete(place, db=self._kept)
            return txn.delete(digest, db=self._files)

        return self._environment.write(work)

    def _all(self, txn: Txn) -> Iterator[tuple[bytes, Kept]]:
        for key, culprit in txn.cursor(self._kept):
            place = bytes(key)
            yield place, Kept(place[9:], place[0], bytes(culprit), int.from_bytes(place[1:9], "big"))
