"""The one LMDB environment under the store: its tables, its format, its growth, and what its failures mean.

Every commit is synced before `write` returns (LMDB's default: data, then the meta page), because what was acknowledged
must survive a crash and a power cut. What makes that affordable is batching: 16 MiB of chunks to a transaction. The
map is never writable, so that a full disk is an error and not a signal, and a stray pointer cannot reach the file.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, TypeVar

import lmdb

from . import bounds
from .errors import StoreDamaged, StoreError, StoreFull
from .gate import Gate

if TYPE_CHECKING:
    Table = lmdb._Database
    Txn = lmdb.Transaction[memoryview]

T = TypeVar("T")

FORMAT = 2
TABLES = (
    "chunks", "have", "outlines", "models", "names", "pins", "known", "places", "words", "receipts", "receipt_log",
    "ballots", "expiries", "name_records", "namesakes", "heard", "issued", "counts", "mirrored", "benchmarks",
    "circuits", "audits", "audit_order", "frauds", "fraud_order", "to_settle", "held", "outbox",
    "settled", "epoch_lines", "epoch_words", "transactions", "payees", "payers", "spent",
)  # fmt: skip
_POSTINGS = ("words", "issued")  # many values of one size under each key, in order
_OLDER = (
    "An earlier release made it, and can still read it: export its receipts there, if they matter. Then move it away, "
    "and add or pull the models again."
)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DAMAGED = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
)


class Environment:
    """Transactions over named tables. `path` exists, and its `DirectoryLock` is held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._gate = Gate()
        self._writing = threading.Lock()
        self._closed = False
        with self._failures():
            self._lmdb = lmdb.open(str(path), map_size=bounds.START_MAP, max_dbs=len(TABLES) + 1, mode=0o600)
        try:
            self._fill_up()
            self._tables: dict[str, Table] = {}
            self.write(self._open_tables)
        except BaseException:
            self._lmdb.close()
            raise

    def table(self, name: str) -> Table:
        """A table of `TABLES`."""
        return self._tables[name]

    @contextmanager
    def read(self) -> Iterator[Txn]:
        """A read transaction: short, and never inside another. Its views die with it. Never waits for a writer."""
        with self._gate.reading():
            self._check_open()
            with self._failures(), self._lmdb.begin(buffers=True) as txn:
                yield txn

    def write(self, work: Callable[[Txn], T], *, freeing: bool = False) -> T:
        """Run `work` in a write transaction and return when it is on disk. Blocks: call it in a worker thread.

        An exception in `work` undoes all of it. `work` may run again when the database had to grow. StoreFull when it
        cannot grow; `freeing` lets it grow a little where nothing else may, since deleting too writes new pages.
        """
        with self._writing:
            while True:
                self._check_open()
                try:
                    with self._failures(), self._lmdb.begin(write=True, buffers=True) as txn:
                        result = work(txn)
                except lmdb.MapFullError:
                    self._grow(freeing)
                else:
                    return result

    def barrier(self) -> None:
        """Return when every write that had begun has ended. Blocks; writes nothing."""
        with self._writing:
            self._check_open()

    def pages(self, table: Table, size: int, start: bytes = b"") -> Iterator[list[bytes]]:
        """The table's keys from `start` on, `size` at a time, each page in a read transaction of its own."""
        while True:
            with self.read() as txn:
                cursor = txn.cursor(table)
                found = cursor.set_range(start) if start else cursor.first()
                keys = [bytes(key) for key in islice(cursor.iternext(values=False), size)] if found else []
            if not keys:
                return
            yield keys
            start = keys[-1] + b"\0"

    @property
    def disk_bytes(self) -> int:
        """What the database takes on disk."""
        return (self.path / "data.mdb").stat().st_blocks * 512

    def close(self) -> None:
        """Wait for the transactions under way, and close; further use raises StoreError."""
        with self._writing, self._gate.alone():
            if not self._closed:
                self._closed = True
                self._lmdb.close()

    def _open_tables(self, txn: Txn) -> None:
        if txn.stat()["entries"] and txn.get(b"meta") is None:
            raise StoreDamaged(f"{self.path} holds a database of another program. Choose another data directory.")
        meta = self._lmdb.open_db(b"meta", txn=txn)
        if (written := txn.get(b"format", db=meta)) is None:
            txn.put(b"format", str(FORMAT).encode(), db=meta)
        elif (other := bytes(written).decode(errors="replace")[:16]) != str(FORMAT):
            older = other.isdecimal() and int(other) < FORMAT
            raise StoreError(
                f"{self.path} has format {other}; this release knows only format {FORMAT}. "
                + (_OLDER if older else "Update hallmark, or choose another data directory.")
            )
        for name in TABLES:
            postings = name in _POSTINGS
            self._tables[name] = self._lmdb.open_db(name.encode(), txn=txn, dupsort=postings, dupfixed=postings)

    def _fill_up(self) -> None:
        # Reading a page beyond the file's end is a fatal signal. A file cut short gets zeros there instead: LMDB calls
        # them corrupted, and a chunk's hash does not match. (Healthy files can be shorter too: unused last pages.)
        pages, page = self._lmdb.info()["last_pgno"] + 1, self._lmdb.stat()["psize"]
        data = self.path / "data.mdb"
        if data.stat().st_size < pages * page:
            os.truncate(data, pages * page)

    def _grow(self, freeing: bool) -> None:
        size = self._lmdb.info()["map_size"]
        used = (self.path / "data.mdb").stat().st_size
        room = used + shutil.disk_usage(self.path).free - bounds.DISK_RESERVE
        target = min(2 * size, bounds.MAX_MAP, room) // 4096 * 4096
        if freeing:
            target = max(target, min(size, bounds.MAX_MAP) + bounds.ROOM_TO_FREE)
        if target <= size:
            why = "its bound is reached" if room >= bounds.MAX_MAP else "the disk is nearly full"
            raise StoreFull(
                f"The store in {self.path} cannot grow beyond {size >> 20} MiB: {why}. Nothing was lost. "
                "Free disk space, or remove models: hallmark model rm MODEL, then hallmark store gc"
            )
        with self._failures(), self._gate.alone():
            self._lmdb.set_mapsize(target)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"The store in {self.path} is closed.")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except lmdb.MapFullError:
            raise  # `write` grows the map
        except lmdb.Error as error:
            raise self._meaning(error) from error

    def _meaning(self, error: lmdb.Error) -> StoreError:
        if error.code in _FULL or (error.code == errno.EIO and not self._has_room()):
            return StoreFull(
                f"The disk under {self.path} is full, or its quota is used up. Nothing was lost. Free disk space."
            )
        if error.code in _READ_ONLY:
            return StoreError(
                f"The store in {self.path} cannot be written: the disk is read-only, or the files are another user's. "
                "Nothing was lost. Make it writable, or choose another data directory."
            )
        if isinstance(error, _DAMAGED):
            return StoreDamaged(
                f"The database in {self.path} is damaged ({error}). Move the directory away and fetch the models "
                "again, or restore it from a copy."
            )
        if error.code == errno.EIO or isinstance(error, lmdb.PanicError):
            return StoreDamaged(
                f"The disk under {self.path} failed ({error}). Look at the system's log, then start again."
            )
        return StoreError(f"The store in {self.path} failed: {error}")

    def _has_room(self) -> bool:
        # LMDB reports a write cut short by a full disk as EIO, so ask the file system itself, at the same offset (a
        # limit on the size of files fails there too).
        end = (self.path / "data.mdb").stat().st_size
        try:
            with TemporaryFile(dir=self.path) as probe:
                os.posix_fallocate(probe.fileno(), end, bounds.ROOM_TO_PROBE)
        except OSError as error:
            return error.errno not in _FULL
        return True
