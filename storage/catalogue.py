"""Models that others told of, found by what they say of themselves: words, name, task, tags, licence, publisher.

An inverted index in LMDB: under each word the places of the manifests that have it, newest known first. A search walks
the lists of all its terms at once and leaps over what is not in every one, so it reads about as much as it finds, and
nothing is loaded when the store opens.

What a known name record contradicts (a version withdrawn, or another model by now) is not here: it is not let in, and
leaves in the transaction that brings the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire.canonical import decode, encode
from wire.errors import RecordError
from wire.manifest import Manifest, SignedManifest
from wire.name import NameRecord

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import StoreDamaged
from .seen import SeenCounts
from .standing import contradicts, read_record, record_key
from .words import publisher_word, version_word, words_of, words_sought

if TYPE_CHECKING:
    import lmdb

    from .environment import Txn

_FIRST = 1 << 63  # places count down from here, so that the newest stands first
_START = bytes(8)


@dataclass(frozen=True)
class Page:
    """Models found, newest known first; `cursor` asks for what follows, None when nothing does."""

    models: tuple[SignedManifest, ...]
    cursor: bytes | None


class Catalogue:
    """What is known of models that may not be here. `search` is short; `put` and `remove` block until on disk.

    Who signed a manifest is asked by whoever puts it here.
    """

    def __init__(self, environment: Environment, seen: SeenCounts) -> None:
        self._environment, self._seen = environment, seen
        self._known = environment.table("known")  # model: place (8 bytes), hash, signed manifest
        self._places = environment.table("places")  # place: model
        self._words = environment.table("words")  # word: places, in order
        self._records = environment.table("name_records")

    def put(self, entries: Sequence[SignedManifest]) -> int:
        """Keep these manifests; how many were news. RecordError when one is none, ValueError beyond a batch. Blocks.

        Left out is what a known name record contradicts: put the records first. What is full forgets: the oldest of a
        publisher's, or of a version's, for the newest, and the oldest of all when there are too many.
        """
        if len(entries) > bounds.MAX_KNOWN_BATCH:
            raise ValueError(f"{len(entries)} manifests in one batch, the bound is {bounds.MAX_KNOWN_BATCH}")
        read = {signed.model: (decode(signed.body, Manifest), encode(signed)) for signed in entries}
        for _, data in read.values():
            decode(data, SignedManifest)  # a struct made in code has not been through its bounds

        def work(txn: Txn) -> int:
            news = 0
            for model, (manifest, data) in read.items():
                if self._read(txn, model) is None and not self._is_contradicted(txn, model, manifest):
                    self._take_out(txn, model)  # a damaged one
                    self._make_room(txn, manifest)
                    self._insert(txn, model, manifest, data)
                    news += 1
            return news

        return self._environment.write(work)

    def get(self, model: bytes) -> SignedManifest | None:
        """The model's manifest; None when it is not known, or damaged (then it is told again)."""
        with self._environment.read() as txn:
            return self._read(txn, model)

    def remove(self, model: bytes) -> bool:
        """Forget a manifest; False when it was not known. Blocks."""
        return self._environment.write(lambda txn: self._remove(txn, model), freeing=True)

    @property
    def count(self) -> int:
        """How many models are known."""
        with self._environment.read() as txn:
            return int(txn.stat(self._known)["entries"])

    def search(
        self,
        text: str = "",
        *,
        name: str = "",
        task: str = "",
        tag: str = "",
        licence: str = "",
        publisher: bytes = b"",
        limit: int = bounds.MAX_PAGE,
        cursor: bytes | None = None,
    ) -> Page:
        """Models that have every word of `text` (a name's words by their beginnings too), and the rest exactly.

        A page can be shorter than `limit` and still have a cursor: the work of one search is bounded. RecordError
        for too many words or a bad cursor.
        """
        terms = words_sought(text, name=name, task=task, tag=tag, licence=licence, publisher=publisher)
        if cursor is not None and len(cursor) != len(_START):
            raise RecordError("search: the cursor is none that a search gave")
        limit = max(1, min(limit, bounds.MAX_PAGE))
        found: list[SignedManifest] = []
        with self._environment.read() as txn:
            for place, is_hit in self._walk(txn, terms, cursor or _START):
                if not is_hit or len(found) == limit:
                    return Page(tuple(found), place)
                model = txn.get(place, db=self._places)
                if model is not None and (signed := self._read(txn, bytes(model))) is not None:
                    found.append(signed)
        return Page(tuple(found), None)

    def heed(self, txn: Txn, before: NameRecord | None, record: NameRecord) -> None:
        """In the transaction in which `record` comes after `before`: what it contradicts leaves, and what it lets
        stand for the first time comes to the front, as the newest word.
        """
        for named in reversed(record.versions):  # the highest last, and so in front
            for model in self._of_version(txn, record, named.version):
                if contradicts(record, named.version, model):
                    self._remove(txn, model)
                elif before is None or not before.stands(model):
                    self._to_front(txn, model)

    def _of_version(self, txn: Txn, record: NameRecord, version: str) -> list[bytes]:
        places = txn.cursor(self._words)
        if not places.set_key(version_word(record.publisher, record.name, version)):
            return []
        models = [txn.get(bytes(place), db=self._places) for place in places.iternext_dup()]
        return [bytes(model) for model in models if model is not None]

    def _is_contradicted(self, txn: Txn, model: bytes, manifest: Manifest) -> bool:
        signed = read_record(txn.get(record_key(manifest.publisher, manifest.name), db=self._records))
        return signed is not None and contradicts(decode(signed.body, NameRecord), manifest.version, model)

    def _to_front(self, txn: Txn, model: bytes) -> None:
        signed = self._read(txn, model)
        if signed is not None:
            self._take_out(txn, model)
            self._insert(txn, model, decode(signed.body, Manifest), encode(signed))

    def _walk(self, txn: Txn, terms: list[bytes], place: bytes) -> Iterator[tuple[bytes, bool]]:
        """Places that stand under every term, from `place` on; a last one that is no hit where the bound is reached."""
        if not terms:
            cursor = txn.cursor(self._places)
            if cursor.set_range(place):
                yield from ((bytes(key), True) for key in cursor.iternext(values=False))
            return
        cursors = [txn.cursor(self._words) for _ in terms]
        agreeing = 0
        for seek in range(bounds.MAX_SEEKS):
            term, at = terms[seek % len(terms)], cursors[seek % len(terms)]
            if not at.set_range_dup(term, place):
                return
            here = bytes(at.value())
            agreeing = agreeing + 1 if here == place else 1
            place = here
            if agreeing >= len(terms):
                yield place, True
                agreeing, place = 0, _next(place)
        yield place, False

    def _insert(self, txn: Txn, model: bytes, manifest: Manifest, data: bytes) -> None:
        newest = txn.cursor(self._places)
        place = (int.from_bytes(newest.key(), "big") - 1 if newest.first() else _FIRST).to_bytes(8, "big")
        txn.put(model, place + with_hash(data), db=self._known)
        txn.put(place, model, db=self._places)
        for word in words_of(manifest):
            txn.put(word, place, db=self._words)

    def _make_room(self, txn: Txn, manifest: Manifest) -> None:
        shared = (
            (version_word(manifest.publisher, manifest.name, manifest.version), bounds.MAX_KNOWN_PER_VERSION),
            (publisher_word(manifest.publisher), bounds.MAX_KNOWN_PER_PUBLISHER),
        )
        for word, most in shared:
            own: lmdb.Cursor[memoryview] = txn.cursor(self._words)
            if own.set_key(word) and own.count() >= most:
                own.last_dup()
                self._remove_at(txn, bytes(own.value()))
                return
        if txn.stat(self._places)["entries"] >= bounds.MAX_KNOWN:
            oldest = txn.cursor(self._places)
            oldest.last()
            self._remove_at(txn, bytes(oldest.key()))

    def _remove_at(self, txn: Txn, place: bytes) -> None:
        model = txn.get(place, db=self._places)
        if model is not None:
            self._remove(txn, bytes(model))

    def _remove(self, txn: Txn, model: bytes) -> bool:
        was_known = self._take_out(txn, model)
        if was_known:
            self._seen.settle(txn, model)
        return was_known

    def _take_out(self, txn: Txn, model: bytes) -> bool:
        stored = txn.get(model, db=self._known) if model else None
        if stored is None:
            return False
        place, signed = bytes(stored[:8]), self._read(txn, model)
        words = txn.cursor(self._words)
        # of a damaged one the words are not known: then every list is searched for it
        for word in words_of(decode(signed.body, Manifest)) if signed else _all(words):
            if words.set_key_dup(word, place):
                words.delete()
        txn.delete(place, db=self._places)
        return txn.delete(model, db=self._known)

    def _read(self, txn: Txn, model: bytes) -> SignedManifest | None:
        stored = txn.get(model, db=self._known) if model else None
        try:
            return None if stored is None else decode(without_hash(stored[8:], "A known model"), SignedManifest)
        except StoreDamaged:
            return None


def _next(place: bytes) -> bytes:
    return (int.from_bytes(place, "big") + 1).to_bytes(8, "big")


def _all(words: lmdb.Cursor[memoryview]) -> list[bytes]:
    return [bytes(key) for key in words.iternext_nodup(keys=True, values=False)] if words.first() else []
