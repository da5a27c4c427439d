"""Books on their way to disk: what changed while the disk was busy goes in one transaction.

A provider's new voucher is written at once, and `saved` is waited for before its answer leaves. Everything else waits a
moment for company: a charge goes with the next voucher, and what a payer forgets its provider has, signed.
"""

from __future__ import annotations

import logging

import trio

from storage import Store, StoreError
from storage.backup import Backup
from storage.payments import Spent, Written
from wire.books import PayeeBook, PayerBook

from ..bounds import BOOKS_LINGER
from ..signal import Signal

log = logging.getLogger("hallmark.paying")


class Keeper:
    """`earned`, `owed` and `spent` at any time; `run` writes until it is cancelled, and once more then."""

    def __init__(self, store: Store, backup: Backup | None = None) -> None:
        self._store = store
        self._backup = backup
        self._waiting = Written()
        self._given = self._kept = 0  # changes, counted
        self._failed: tuple[int, StoreError] | None = None
        self._more, self._urgent, self._written = Signal(), Signal(), Signal()

    def earned(self, channel: bytes, book: PayeeBook) -> None:
        """A provider's books of a channel changed."""
        self._waiting.payees[channel] = book
        self._changed()

    def owed(self, channel: bytes, book: PayerBook) -> None:
        """A payer's books of a channel changed."""
        self._waiting.payers[channel] = book
        self._changed()

    def spent(self, key: Spent, amount: int) -> None:
        """What was spent on a day on a provider is now so much in all."""
        self._waiting.spent[key] = amount
        self._changed()

    def hurry(self) -> None:
        """Begin to write what was given."""
        self._urgent.notify()

    async def saved(self) -> None:
        """Return once all that was given until now is on disk. StoreError when the disk does not take it."""
        wanted = self._given
        self.hurry()
        if self._failed is not None:  # there may be room now
            self._failed = None
            self._more.notify()
        while self._kept < wanted:
            self._check(wanted)
            await self._written.wait(float("inf"), since=self._written.count)

    async def run(self) -> None:
        """Write what there is, and then what came meanwhile."""
        try:
            while True:
                seen, hurried = self._more.count, self._urgent.count
                await self._write()
                await self._more.wait(float("inf"), since=seen)
                await self._urgent.wait(BOOKS_LINGER, since=hurried)
        finally:
            with trio.CancelScope(shield=True):
                await self._write()

    def _check(self, wanted: int) -> None:
        if self._failed is not None and self._failed[0] >= wanted:
            raise self._failed[1]

    def _changed(self) -> None:
        self._given += 1
        self._failed = None
        self._more.notify()

    async def _write(self) -> None:
        batch, given = self._waiting, self._given
        if not batch:
            return
        self._waiting = Written()
        try:
            await self._store.in_thread(self._put, batch)
        except StoreError as error:
            log.error("payments are not on disk, and no answer that is paid leaves: %s", error)
            self._back(batch)
            self._failed = given, error
        except BaseException:  # cancelled before it began
            self._back(batch)
            raise
        else:
            self._kept = given
        self._written.notify()

    def _back(self, batch: Written) -> None:
        newer = self._waiting
        self._waiting = Written(batch.payees | newer.payees, batch.payers | newer.payers, batch.spent | newer.spent)

    def _put(self, batch: Written) -> None:
        self._store.payments.put(batch)
        if self._backup is not None and batch.payees:
            try:
                self._backup.append(batch.payees.values())
            except StoreError as error:  # the store has them, and that is what was promised
                log.error("%s", error)
