"""Receipt files by their receipt's digest, with a log of summaries so that a listing never reads the files.

They are proofs, and nobody else may have them: a damaged one is an error to report, never a silent absence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.bounds import U63, Address, Hash32, TimeMs
from wire.canonical import Amount, Record, decode, encode
from wire.eip712 import Domain
from wire.errors import RecordError
from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile
from wire.tier import Tier

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import StoreDamaged, StoreFull

if TYPE_CHECKING:
    from .environment import Txn


class ReceiptSummary(Record):
    """One line of a listing. `size` is the file's, in bytes."""

    digest: Hash32
    model: Hash32
    provider: Address
    payer: Address
    tier: Tier
    price: Amount
    finished_ms: TimeMs
    size: U63


class Receipts:
    """The receipt files of this peer. `get` takes as long as the file is; `put` and `remove` block until on disk."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._files = environment.table("receipts")  # digest: place in the log (8 bytes), hash, file
        self._log = environment.table("receipt_log")  # place: summary

    def put(self, digest: bytes, data: bytes) -> None:
        """Keep a receipt file; a later one of the same digest (with more evidence) replaces it. Blocks.

        RecordError when `data` is no receipt file or its receipt has another digest; StoreFull at `MAX_RECEIPTS`.
        """
        file = decode(data, ReceiptFile, limit=MAX_RECEIPT_FILE)
        receipt = file.receipt.receipt
        if receipt.digest(Domain(chain_id=file.chain_id, contract=file.contract)) != digest:
            raise RecordError(f"ReceiptFile: its receipt's digest is not {digest.hex()}")
        summary = ReceiptSummary(
            digest=digest,
            model=receipt.model,
            provider=receipt.provider,
            payer=receipt.payer,
            tier=receipt.tier,
            price=receipt.price,
            finished_ms=receipt.finished_ms,
            size=len(data),
        )

        def work(txn: Txn) -> None:
            log = txn.cursor(self._log)
            place = int.from_bytes(log.key(), "big") + 1 if log.last() else 0
            if not self._remove(txn, digest) and txn.stat(self._files)["entries"] >= bounds.MAX_RECEIPTS:
                raise StoreFull(f"The store has {bounds.MAX_RECEIPTS} receipts. Export some and remove them.")
            key = place.to_bytes(8, "big")
            txn.put(digest, key + with_hash(data), db=self._files)
            txn.put(key, encode(summary), db=self._log)

        self._environment.write(work)

    def get(self, digest: bytes) -> bytes | None:
        """The receipt file's bytes, or None. StoreDamaged when they are not what was written."""
        with self._environment.read() as txn:
            stored = txn.get(digest, db=self._files) if digest else None
            return None if stored is None else without_hash(stored[8:], f"The receipt {digest.hex()}")

    def all(self, limit: int = bounds.MAX_LISTED) -> list[ReceiptSummary]:
        """What is here, last stored first; `limit` of them, and `MAX_LISTED` at most."""
        found: list[ReceiptSummary] = []
        with self._environment.read() as txn:
            cursor = txn.cursor(self._log)
            if cursor.last():
                for value in cursor.iterprev(keys=False):
                    if len(found) >= min(limit, bounds.MAX_LISTED):
                        break
                    try:
                        found.append(decode(value, ReceiptSummary))
                    except RecordError as error:
                        raise StoreDamaged(f"The list of receipts is damaged on disk ({error}).") from error
        return found

    @property
    def count(self) -> int:
        """How many receipts are here."""
        with self._environment.read() as txn:
            return int(txn.stat(self._files)["entries"])

    def remove(self, digest: bytes) -> bool:
        """Forget a receipt file; False when it was not here. Blocks."""
        return self._environment.write(lambda txn: self._remove(txn, digest))

    def _remove(self, txn: Txn, digest: bytes) -> bool:
        stored = txn.get(digest, db=self._files)
        if stored is None:
            return False
        txn.delete(bytes(stored[:8]), db=self._log)
        return txn.delete(digest, db=self._files)
