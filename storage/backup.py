"""A second place for the newest vouchers: a file to which each is appended, on another disk where there is one.

Each entry is its length (4 bytes), the BLAKE3 of what follows, and an encoded `PayeeBook`. The last entry may be cut
off where the power was; of several of one channel the highest voucher and the highest charge count, whatever their
order, so that nothing that is written later can make the file worth less.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from wire.books import PayeeBook
from wire.bounds import MAX_RECORD
from wire.canonical import decode, encode
from wire.errors import RecordError

from . import bounds
from .checked import with_hash, without_hash
from .errors import StoreDamaged, StoreError


@dataclass(frozen=True)
class BackedUp:
    """What a backup holds: the best books of each channel, by its encoded config, and how many bytes were no entry."""

    books: dict[bytes, PayeeBook]
    damaged: int


class Backup:
    """`append` blocks until it is on disk. Made by who has the file to itself; see `read_backup` for the way back."""

    def __init__(self, path: Path) -> None:
        """StoreError when the file cannot be made or written. One that has grown is written anew, shorter."""
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size > bounds.MAX_BACKUP:
                self._shorten()
            elif path.exists():
                _cut_tail(path)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"The backup of vouchers in {path} cannot be written: {error.strerror}") from error

    def append(self, books: Iterable[PayeeBook]) -> None:
        """Add these. StoreError when the disk does not take them."""
        data = b"".join(map(_entry, books))
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fdatasync(self._file)
        except OSError as error:
            raise StoreError(f"The backup of vouchers in {self.path} was not written: {error.strerror}") from error

    def close(self) -> None:
        """Nothing more will be appended."""
        os.close(self._file)

    def _shorten(self) -> None:
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.writelines(map(_entry, read_backup(self.path).books.values()))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


def read_backup(path: Path) -> BackedUp:
    """Everything in the file, the newest of each channel. StoreError when it cannot be read."""
    books: dict[bytes, PayeeBook] = {}
    damaged = 0
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while head := file.read(4):
                length = int.from_bytes(head, "big")
                stored = file.read(length) if 32 < length <= MAX_RECORD else b""
                book = _book(stored) if len(head) == 4 and len(stored) == length else None
                if book is None:
                    damaged = size - file.tell() + len(head) + len(stored)
                    break
                key = encode(book.config)
                books[key] = best(books[key], book) if key in books else book
    except OSError as error:
        raise StoreError(f"The backup of vouchers in {path} cannot be read: {error.strerror}") from error
    return BackedUp(books, damaged)


def best(one: PayeeBook, other: PayeeBook) -> PayeeBook:
    """Of two books of one channel the higher voucher, the higher charge, and the chain's newer word."""
    return replace(
        one,
        held=max(one.held, other.held, key=lambda held: held.voucher.amount),
        charged=max(one.charged, other.charged),
        deposit=max(one.deposit, other.deposit, key=lambda deposit: deposit.block),
    )


def _entry(book: PayeeBook) -> bytes:
    stored = with_hash(encode(book))
    return len(stored).to_bytes(4, "big") + stored


def _book(stored: bytes) -> PayeeBook | None:
    try:
        return decode(without_hash(memoryview(stored), "A voucher's backup"), PayeeBook)
    except (StoreDamaged, RecordError):
        return None


def _cut_tail(path: Path) -> None:
    """Entries behind one that was cut off could not be read."""
    damaged = read_backup(path).damaged
    if damaged:
        kept = path.with_name(path.name + ".damaged")
        data = path.read_bytes()
        kept.write_bytes(data[-damaged:])
        os.truncate(path, len(data) - damaged)
