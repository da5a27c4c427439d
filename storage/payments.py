"""Both sides of payment channels, and what was spent, each day on each provider.

A provider's newest vouchers are money that nobody else keeps: they are on disk before an answer leaves, many to a
transaction, and a damaged one is an error to report. What a payer forgets its provider knows, with its own signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from wire.books import PayeeBook, PayerBook
from wire.canonical import Record, decode, encode

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import StoreFull

if TYPE_CHECKING:
    from .environment import Table, Txn

R = TypeVar("R", bound=Record)

Spent = tuple[int, bytes]  # a day (since 1970, UTC), and a provider's address


@dataclass
class Written:
    """What one transaction writes: books by their channel's id, sums by day and provider."""

    payees: dict[bytes, PayeeBook] = field(default_factory=dict)
    payers: dict[bytes, PayerBook] = field(default_factory=dict)
    spent: dict[Spent, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.payees or self.payers or self.spent)


class Payments:
    """`put` blocks until all of it is on disk; the others read."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._payees = environment.table("payees")  # channel: hash, book
        self._payers = environment.table("payers")  # channel: hash, book
        self._spent = environment.table("spent")  # day (4 bytes), provider: hash, sum (16)

    def put(self, written: Written) -> None:
        """Keep all of it, in one transaction; what is there already is replaced. Sums of days long ago go. Blocks.

        StoreFull at `MAX_CHANNELS` of either side, and then nothing is kept.
        """

        def work(txn: Txn) -> None:
            self._put(txn, self._payees, written.payees)
            self._put(txn, self._payers, written.payers)
            for (day, provider), amount in written.spent.items():
                key = day.to_bytes(4, "big") + provider
                txn.put(key, with_hash(amount.to_bytes(17, "big")), db=self._spent)
            if written.spent:
                self._forget(txn, max(day for day, _ in written.spent) - bounds.SPENT_DAYS)

        self._environment.write(work)

    def payees(self) -> dict[bytes, PayeeBook]:
        """Every channel that pays this peer. StoreDamaged when one is not what was written."""
        return dict(self._all(self._payees, PayeeBook))

    def payers(self) -> dict[bytes, PayerBook]:
        """Every channel that this peer pays from. StoreDamaged as above."""
        return dict(self._all(self._payers, PayerBook))

    def spent(self, day: int) -> dict[Spent, int]:
        """What was spent since that day. StoreDamaged as above."""
        found = {}
        with self._environment.read() as txn:
            cursor = txn.cursor(self._spent)
            if cursor.set_range(max(0, day).to_bytes(4, "big")):
                for key, stored in cursor:
                    amount = without_hash(stored, "A sum of what was spent")
                    found[int.from_bytes(key[:4], "big"), bytes(key[4:])] = int.from_bytes(amount, "big")
        return found

    def _all(self, table: Table, kind: type[R]) -> Iterator[tuple[bytes, R]]:
        with self._environment.read() as txn:
            for key, stored in txn.cursor(table):
                channel = bytes(key)
                yield channel, decode(without_hash(stored, f"The payment channel {channel.hex()}"), kind)

    def _put(self, txn: Txn, table: Table, books: Mapping[bytes, Record]) -> None:
        for channel, book in books.items():
            txn.put(channel, with_hash(encode(book)), db=table)
        if txn.stat(table)["entries"] > bounds.MAX_CHANNELS:
            raise StoreFull(f"The store has {bounds.MAX_CHANNELS} payment channels. No more are taken.")

    def _forget(self, txn: Txn, day: int) -> None:
        cursor = txn.cursor(self._spent)
        while cursor.first() and int.from_bytes(cursor.key()[:4], "big") < day:
            cursor.delete()
