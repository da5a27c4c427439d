"""The chain's disk: named tables in one LMDB environment, and a block's changes written all at once or not at all.

Changes are staged in memory, where reads see them, until `commit` writes and syncs them in one transaction. So whoever
reads after a commit reads what a power cut leaves. `state` is the part of it that the EVM works on.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import lmdb
from eth.db.atomic import AtomicDB
from eth.db.backends.base import BaseDB

from . import bounds
from .errors import DevnetError, Unstorable

FORMAT = b"1"
TABLES = ("state", "hashes", "numbers", "blocks", "transactions", "receipts", "logs", "meta", "notes")


class Disk:
    """`path` is made when missing, and held by this process alone until `close`. DevnetError when it cannot be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._staged: dict[tuple[str, bytes], bytes | None] = {}
        self._lock = _lock(path)
        try:
            self._lmdb = lmdb.open(str(path / "chain"), map_size=bounds.MAP, max_dbs=len(TABLES), mode=0o600)
            self._fill_up()
            self._tables = {name: self._lmdb.open_db(name.encode()) for name in TABLES}
            made = self.get("meta", b"format")
        except lmdb.Error as error:
            os.close(self._lock)
            raise DevnetError(_damaged(path, error)) from error
        if made is None:
            self.put("meta", b"format", FORMAT)
        elif made != FORMAT:
            self.close()
            raise DevnetError(f"{path} was written by another release of the devnet. Choose another directory.")
        self.state = AtomicDB(_State(self))

    def get(self, table: str, key: bytes) -> bytes | None:
        """What stands under the key, staged changes included."""
        if (table, key) in self._staged:
            return self._staged[table, key]
        with self._lmdb.begin(db=self._tables[table]) as txn:
            found = txn.get(key)
        return None if found is None else bytes(found)

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Stage a value."""
        self._staged[table, key] = value

    def delete(self, table: str, key: bytes) -> None:
        """Stage a deletion; nothing happens when the key is not there."""
        self._staged[table, key] = None

    def scan(self, table: str, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What is committed under the keys from `first` to `last`, both included, in order."""
        with self._lmdb.begin(db=self._tables[table]) as txn, txn.cursor() as cursor:
            if not cursor.set_range(first):
                return
            for key, value in cursor:
                if key > last:
                    return
                yield bytes(key), bytes(value)

    def commit(self) -> None:
        """Write what is staged and return when it is on disk. Unstorable, and nothing of it is left, when it fails."""
        staged, self._staged = self._staged, {}
        if shutil.disk_usage(self._path).free < bounds.DISK_RESERVE:
            raise Unstorable(f"The disk under {self._path} is full. Nothing was lost; free some space.")
        try:
            with self._lmdb.begin(write=True) as txn:
                for (table, key), value in staged.items():
                    if value is None:
                        txn.delete(key, db=self._tables[table])
                    else:
                        txn.put(key, value, db=self._tables[table])
        except lmdb.Error as error:
            raise Unstorable(f"The disk under {self._path} takes no block ({error}). Nothing was lost.") from error

    def discard(self) -> None:
        """Forget what is staged."""
        self._staged = {}

    def close(self) -> None:
        """Let another process have the directory."""
        self._lmdb.close()
        os.close(self._lock)

    def _fill_up(self) -> None:
        # A page beyond the file's end is a fatal signal to read; of a file cut short, LMDB calls zeros corrupted.
        size = (self._lmdb.info()["last_pgno"] + 1) * self._lmdb.stat()["psize"]
        data = self._path / "chain" / "data.mdb"
        if data.stat().st_size < size:
            os.truncate(data, size)


class _State(BaseDB):
    """The EVM's key-value store: the table `state`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getitem__(self, key: bytes) -> bytes:
        if (value := self._disk.get("state", key)) is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._disk.put("state", key, value)

    def __delitem__(self, key: bytes) -> None:
        self._disk.delete("state", key)

    def _exists(self, key: bytes) -> bool:
        return self._disk.get("state", key) is not None


def _lock(path: Path) -> int:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DevnetError(f"{path} cannot be used: {error.strerror}. Choose another directory.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DevnetError(f"Another devnet runs in {path}. Stop it first, or choose another directory.") from None
    return descriptor


def _damaged(path: Path, error: lmdb.Error) -> str:
    return (
        f"The devnet's chain in {path} cannot be read ({error}). Its ether was never worth anything: "
        "move the directory away and start anew."
    )
