"""What was written down of transactions before they were sent to a chain: by account and purpose, for ever.

Each cost its account a fee, so their number is bounded by money, and an outcome that is forgotten could happen twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment

if TYPE_CHECKING:
    from .environment import Txn


class Transactions:
    """`put` blocks until it is on disk. `whose` names a chain and an account there."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._table = environment.table("transactions")  # length of whose (1), whose, purpose: hash, entry

    def put(self, whose: bytes, purpose: str, data: bytes) -> None:
        """Keep an entry in place of the one before. Blocks. ValueError for one beyond the bounds."""
        if len(data) > bounds.MAX_JOURNAL_ENTRY:
            raise ValueError(f"an entry of {len(data)} bytes, the bound is {bounds.MAX_JOURNAL_ENTRY}")
        key = _key(whose, purpose)

        def work(txn: Txn) -> None:
            txn.put(key, with_hash(data), db=self._table)

        self._environment.write(work)

    def get(self, whose: bytes, purpose: str) -> bytes | None:
        """What was put last, or None. StoreDamaged when it is not what was written."""
        with self._environment.read() as txn:
            stored = txn.get(_key(whose, purpose), db=self._table)
            return None if stored is None else _checked(stored)

    def all(self, whose: bytes) -> list[bytes]:
        """Every entry of this account, by purpose. StoreDamaged when one is not what was written."""
        start = _key(whose, "")
        found = []
        with self._environment.read() as txn:
            cursor = txn.cursor(self._table)
            more = cursor.set_range(start)
            while more and bytes(cursor.key()).startswith(start):
                found.append(_checked(cursor.value()))
                more = cursor.next()
        return found


def _key(whose: bytes, purpose: str) -> bytes:
    name = purpose.encode()
    if not 0 < len(whose) <= bounds.MAX_WHOSE or len(name) > bounds.MAX_PURPOSE:
        raise ValueError(f"a purpose of {len(name)} bytes of an account's name of {len(whose)}")
    return bytes([len(whose)]) + whose + name


def _checked(stored: memoryview) -> bytes:
    return without_hash(stored, "The journal of transactions")
