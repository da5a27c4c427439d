"""Name records: the newest that is known of each publisher's name. What one says decides who is in the catalogue.

Strangers fill this table, so it forgets: a publisher's oldest-issued for its newest, and the one heard longest ago
when all is full. Records of names whose models are in this store, and this peer's own, stand outside of that order:
no flood reaches them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from wire.bounds import MAX_NAME_RECORD
from wire.canonical import decode, encode
from wire.name import NameRecord, SignedName

from . import bounds
from .catalogue import Catalogue
from .checked import with_hash
from .environment import Environment
from .standing import HEAD, read_record, record_key

if TYPE_CHECKING:
    from .environment import Table, Txn

_ADDRESS = 20  # bytes
_LONGEST = 64  # bytes of a name
_STAYS = bytes(8)  # the place of a record that is not in the order in which they go


class Names:
    """The name records that this peer knows. Reads are short; `put` and `put_all` block until they are on disk.

    Who signed a record, and whether it is current, is asked by whoever puts it here.
    """

    def __init__(self, environment: Environment, catalogue: Catalogue) -> None:
        self._environment, self._catalogue = environment, catalogue
        self._records = environment.table("name_records")  # publisher name: place (8), own (1), hash, signed record
        self._namesakes = environment.table("namesakes")  # name \0 publisher: nothing
        self._heard = environment.table("heard")  # place: issued (8) publisher name
        self._issued = environment.table("issued")  # publisher: issued (8) place, oldest first
        self._here = environment.table("names")  # of the models in this store: name \0 publisher version \0 model

    def put(self, signed: SignedName, *, own: bool = False) -> bool:
        """Keep a record; False when one of its sequence or a higher is here, or its publisher has newer ones enough.

        What it contradicts leaves the catalogue, and what it lets stand for the first time comes to the front there,
        in one transaction. An `own` record is never forgotten, and nor are later ones of its name. RecordError when
        it is none. Blocks.
        """
        return self._put([signed], own) == 1

    def put_all(self, entries: Sequence[SignedName]) -> int:
        """As `put`, all in one transaction; how many are kept. ValueError beyond a batch. Blocks."""
        if len(entries) > bounds.MAX_KNOWN_BATCH:
            raise ValueError(f"{len(entries)} name records in one batch, the bound is {bounds.MAX_KNOWN_BATCH}")
        return self._put(entries, own=False)

    def get(self, publisher: bytes, name: str) -> SignedName | None:
        """The newest record; None when it is not known, or damaged (then it is told again)."""
        if not _may_be(name) or len(publisher) != _ADDRESS:
            return None
        with self._environment.read() as txn:
            return read_record(txn.get(record_key(publisher, name), db=self._records))

    def named(self, name: str) -> list[SignedName]:
        """All publishers' records of that name, by publisher; `MAX_NAMESAKES` at most."""
        if not _may_be(name):
            return []
        with self._environment.read() as txn:
            prefix = name.encode() + b"\0"
            keys = _beginning(txn, self._namesakes, prefix, bounds.MAX_NAMESAKES)
            return self._intact(txn, [key[len(prefix) :] + name.encode() for key in keys])

    def of(self, publisher: bytes) -> list[SignedName]:
        """One publisher's records, by name. Reads for long when it has many."""
        if len(publisher) != _ADDRESS:
            return []
        with self._environment.read() as txn:
            return self._intact(txn, _beginning(txn, self._records, publisher))

    @property
    def count(self) -> int:
        """How many records are known."""
        with self._environment.read() as txn:
            return int(txn.stat(self._records)["entries"])

    def settle(self, txn: Txn, publisher: bytes, name: str) -> None:
        """In a transaction in which a model of that name came to the store or left it: may its record go now?"""
        key = record_key(publisher, name)
        stored = bytes(txn.get(key, b"", db=self._records))
        if not stored:
            return
        place, own = stored[:8], bool(stored[8])
        stays = own or self._is_here(txn, publisher, name)
        if stays == (place == _STAYS):
            return
        if stays:
            self._keep(txn, key, place)
            txn.put(key, _STAYS + stored[8:], db=self._records)
            return
        signed = read_record(stored)
        issued = decode(signed.body, NameRecord).issued_ms if signed is not None else None
        if issued is None or not self._make_room(txn, publisher, issued):
            self._forget(txn, key)
        else:
            txn.put(key, self._let_go(txn, key, issued) + stored[8:], db=self._records)

    def _put(self, entries: Sequence[SignedName], own: bool) -> int:
        read = [(decode(signed.body, NameRecord, limit=MAX_NAME_RECORD), encode(signed)) for signed in entries]
        for _, data in read:
            decode(data, SignedName)  # a struct made in code has not been through its bounds

        def work(txn: Txn) -> int:
            return sum(self._take(txn, record, data, own) for record, data in read)

        return self._environment.write(work)

    def _take(self, txn: Txn, record: NameRecord, data: bytes, own: bool) -> bool:
        publisher, name = record.publisher, record.name
        key = record_key(publisher, name)
        stored = bytes(txn.get(key, b"", db=self._records))
        signed = read_record(stored or None)
        before = decode(signed.body, NameRecord) if signed is not None else None
        place, was_own = stored[:8], any(stored[8:HEAD])
        own = own or was_own
        if before is not None and record.sequence <= before.sequence:
            if own != was_own:
                self._keep(txn, key, place)
                txn.put(key, _STAYS + b"\1" + stored[HEAD:], db=self._records)
            return False
        if stored:
            self._keep(txn, key, place)
        if own or self._is_here(txn, publisher, name):
            place = _STAYS
        elif self._make_room(txn, publisher, record.issued_ms):
            place = self._let_go(txn, key, record.issued_ms)
        else:
            return False  # never for a name that is here: it has just made room itself
        txn.put(key, place + bytes((own,)) + with_hash(data), db=self._records)
        txn.put(_namesake(key), b"", db=self._namesakes)
        self._catalogue.heed(txn, before, record)
        return True

    def _is_here(self, txn: Txn, publisher: bytes, name: str) -> bool:
        return bool(_beginning(txn, self._here, name.encode() + b"\0" + publisher, 1))

    def _make_room(self, txn: Txn, publisher: bytes, issued_ms: int) -> bool:
        """Let one go where the bounds are reached; False when it would be the very record that is to come."""
        own = txn.cursor(self._issued)
        if own.set_key(publisher) and own.count() >= bounds.MAX_NAMES_PER_PUBLISHER:
            oldest = bytes(own.value())
            if int.from_bytes(oldest[:8], "big") > issued_ms:
                return False
            self._forget_at(txn, oldest[8:])
        elif txn.stat(self._heard)["entries"] >= bounds.MAX_NAMES:
            heard = txn.cursor(self._heard)
            heard.first()
            self._forget_at(txn, bytes(heard.key()))
        return True

    def _let_go(self, txn: Txn, key: bytes, issued_ms: int) -> bytes:
        """Enter a record into the order in which they go; its place there."""
        last = txn.cursor(self._heard)
        place = (int.from_bytes(last.key(), "big") + 1 if last.last() else 1).to_bytes(8, "big")
        issued = issued_ms.to_bytes(8, "big")
        txn.put(place, issued + key, db=self._heard)
        txn.put(key[:_ADDRESS], issued + place, db=self._issued)
        return place

    def _keep(self, txn: Txn, key: bytes, place: bytes) -> None:
        """Take a record out of that order."""
        entry = txn.get(place, db=self._heard)
        if entry is not None:
            txn.delete(key[:_ADDRESS], bytes(entry[:8]) + place, db=self._issued)
            txn.delete(place, db=self._heard)

    def _forget_at(self, txn: Txn, place: bytes) -> None:
        entry = txn.get(place, db=self._heard)
        if entry is not None:
            key = bytes(entry[8:])
            self._keep(txn, key, place)
            self._forget(txn, key)

    def _forget(self, txn: Txn, key: bytes) -> None:
        txn.delete(_namesake(key), db=self._namesakes)
        txn.delete(key, db=self._records)

    def _intact(self, txn: Txn, keys: list[bytes]) -> list[SignedName]:
        records = (read_record(txn.get(key, db=self._records)) for key in keys)
        return [signed for signed in records if signed is not None]


def _may_be(name: str) -> bool:
    """Whether it is short enough for a key; anything may be asked for."""
    return name.isascii() and 0 < len(name) <= _LONGEST


def _namesake(key: bytes) -> bytes:
    return key[_ADDRESS:] + b"\0" + key[:_ADDRESS]


def _beginning(txn: Txn, table: Table, prefix: bytes, limit: int | None = None) -> list[bytes]:
    """The keys that begin so, in order, `limit` at most."""
    cursor = txn.cursor(table)
    keys = cursor.iternext(values=False) if cursor.set_range(prefix) else iter(())
    found = []
    for key in islice(keys, limit):
        if bytes(key[: len(prefix)]) != prefix:
            break
        found.append(bytes(key))
    return found
