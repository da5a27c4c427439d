"""Any order of manifests, name records, models and kills, against plain lists: what is found, and what is forgotten."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from storage import Seen, Store, bounds, open_store
from storage.words import words_of
from wire.canonical import decode
from wire.manifest import Manifest, SignedManifest
from wire.name import NameRecord, SignedName

from .made import ALICE, BOB, manifest, name_record, named

KEYS = (ALICE, BOB)
NAMES = ("a", "ab", "b")
VERSIONS = ("2.0.0", "1.0.0")  # highest first, as in a record
Key = tuple[bytes, str]


@cache
def told(publisher: int, name: int, version: int, variant: int) -> SignedManifest:
    return manifest(NAMES[name], VERSIONS[version], KEYS[publisher], description=f"variant {variant}")


def read(signed: SignedManifest) -> Manifest:
    return decode(signed.body, Manifest)


def record_of(signed: SignedName) -> NameRecord:
    return decode(signed.body, NameRecord)


def key_of(signed: SignedManifest) -> Key:
    return read(signed).publisher, read(signed).name


VARIANT = st.sampled_from((0, 0, 0, 1, 1, 2))
MANIFEST = st.builds(told, st.integers(0, 1), st.integers(0, 2), st.integers(0, 1), VARIANT)
# Of each version: not named, or one of three models, which stands or is withdrawn.
NAMED = st.none() | st.tuples(VARIANT, st.sampled_from((False, False, True)))


class Killed(Exception):
    """The process, in the middle of a transaction."""


class NamesMachine(RuleBasedStateMachine):
    """`known`: newest first. `order`: the names that may be forgotten, the one heard longest ago first."""

    @initialize()
    def start(self) -> None:
        self._leaving = ExitStack()
        patch = self._leaving.enter_context(pytest.MonkeyPatch.context())
        for bound, value in (
            ("START_MAP", 256 * 1024), ("DISK_RESERVE", 0), ("MAX_NAMES", 2), ("MAX_NAMES_PER_PUBLISHER", 2),
            ("MAX_KNOWN", 6), ("MAX_KNOWN_PER_PUBLISHER", 4), ("MAX_KNOWN_PER_VERSION", 2),
        ):  # fmt: skip
            patch.setattr(bounds, bound, value)
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._path = Path(self._leaving.enter_context(tempfile.TemporaryDirectory(dir=memory)))
        self._open()
        self.known: list[SignedManifest] = []
        self.here: set[SignedManifest] = set()
        self.records: dict[Key, SignedName] = {}
        self.order: list[Key] = []
        self.own: set[Key] = set()
        self.counts: dict[bytes, int] = {}

    def _open(self) -> None:
        self._closing = ExitStack()
        self.store: Store = self._closing.enter_context(open_store(self._path))

    # what may happen

    @rule(entries=st.lists(MANIFEST, max_size=4))
    def tell_of_models(self, entries: list[SignedManifest]) -> None:
        news = [signed for signed in dict.fromkeys(entries) if self._enter(signed)]
        assert self.store.catalogue.put(entries) == len(news)

    @rule(publisher=st.integers(0, 1), name=st.integers(0, 2), variant=VARIANT)
    def tell_of_all_versions(self, publisher: int, name: int, variant: int) -> None:
        self.tell_of_models([told(publisher, name, version, variant) for version in range(len(VERSIONS))])

    @rule(
        publisher=st.integers(0, 1),
        name=st.integers(0, 2),
        says=st.tuples(NAMED, NAMED).filter(any),
        sequence=st.integers(1, 6),
        issued=st.integers(1, 4),
        own=st.sampled_from((False,) * 7 + (True,)),
        killed=st.sampled_from((False,) * 5 + (True,)),
    )
    def tell_of_a_name(
        self, publisher: int, name: int, says: tuple[Any, Any], sequence: int, issued: int, own: bool, killed: bool
    ) -> None:
        versions = [
            named(VERSIONS[n], told(publisher, name, n, said[0]).model, "bad" if said[1] else None)
            for n, said in enumerate(says)
            if said
        ]
        signed = name_record(*versions, sequence=sequence, name=NAMES[name], key=KEYS[publisher], issued_ms=issued)
        if killed:
            self._killed(lambda: self.store.names.put(signed, own=own))
        else:
            assert self.store.names.put(signed, own=own) is self._hear(signed, own)

    @rule(signed=MANIFEST)
    def keep_a_model(self, signed: SignedManifest) -> None:
        self.store.models.put(signed)
        self.here.add(signed)
        if key_of(signed) in self.order:
            self.order.remove(key_of(signed))

    @rule(signed=MANIFEST, killed=st.booleans())
    def remove_a_model(self, signed: SignedManifest, killed: bool) -> None:
        if killed:
            self._killed(lambda: self.store.models.remove(signed.model))
            return
        assert self.store.models.remove(signed.model) is (signed in self.here)
        self.here.discard(signed)
        self._forget_counts()
        key = key_of(signed)
        if key in self.records and key not in self.order and not self._stays(key):
            if self._make_room(key, record_of(self.records[key]).issued_ms):
                self.order.append(key)
            else:
                del self.records[key]

    @rule(signed=MANIFEST)
    def remove_from_the_catalogue(self, signed: SignedManifest) -> None:
        assert self.store.catalogue.remove(signed.model) is (signed in self.known)
        self._leave(signed)

    @rule(signed=MANIFEST)
    def see(self, signed: SignedManifest) -> None:
        self.store.seen.add({signed.model: (1, 2)})
        if signed in self.known or signed in self.here:
            self.counts[signed.model] = self.counts.get(signed.model, 0) + 1

    @rule()
    def restart(self) -> None:
        self._closing.close()
        self._open()

    def _killed(self, write: Callable[[], Any]) -> None:
        """Do all of it but the commit; then start again, as after a kill."""
        environment = self.store._environment
        whole = environment.write

        def broken(work: Any, **how: Any) -> Any:
            def half(txn: Any) -> None:
                work(txn)
                raise Killed

            return whole(half, **how)

        environment.write = broken  # type: ignore[method-assign]  # of a store that is thrown away
        with pytest.raises(Killed):
            write()
        self.restart()

    # what is then expected

    def _enter(self, signed: SignedManifest) -> bool:
        manifest = read(signed)
        if signed in self.known or self._contradicted(signed):
            return False
        same = [s for s in self.known if key_of(s) == key_of(signed) and read(s).version == manifest.version]
        theirs = [s for s in self.known if read(s).publisher == manifest.publisher]
        for some, bound in ((same, 2), (theirs, 4), (self.known, 6)):
            if len(some) >= bound:
                self._leave(some[-1])
                break
        self.known.insert(0, signed)
        return True

    def _leave(self, signed: SignedManifest) -> None:
        if signed in self.known:
            self.known.remove(signed)
        self._forget_counts()

    def _forget_counts(self) -> None:
        models = {s.model for s in self.known} | {s.model for s in self.here}
        self.counts = {model: n for model, n in self.counts.items() if model in models}

    def _contradicted(self, signed: SignedManifest) -> bool:
        record = self.records.get(key_of(signed))
        said = {n.version: n for n in record_of(record).versions}.get(read(signed).version) if record else None
        return said is not None and (said.model != signed.model or said.withdrawn is not None)

    def _stays(self, key: Key) -> bool:
        return key in self.own or any(key_of(signed) == key for signed in self.here)

    def _hear(self, signed: SignedName, own: bool) -> bool:
        record = record_of(signed)
        key = record.publisher, record.name
        before = self.records.get(key)
        if own and (before is not None or self._newer(record, before)):
            self.own.add(key)
        if not self._newer(record, before):
            self.order = [k for k in self.order if k not in self.own]
            return False
        if before is None and not own and not self._stays(key) and not self._make_room(key, record.issued_ms):
            return False
        self.order = [k for k in self.order if k != key]
        if own:
            self.own.add(key)
        if not self._stays(key):
            self.order.append(key)
        self.records[key] = signed
        stood = {n.model for n in record_of(before).versions if n.withdrawn is None} if before else set()
        for gone in [s for s in self.known if self._contradicted(s)]:
            self._leave(gone)
        stand = {n.model: n.version for n in record.versions if n.withdrawn is None and n.model not in stood}
        first = [s for s in self.known if s.model in stand]
        first.sort(key=lambda s: VERSIONS.index(stand[s.model]))
        self.known = first + [s for s in self.known if s not in first]
        return True

    def _newer(self, record: NameRecord, before: SignedName | None) -> bool:
        return before is None or record.sequence > record_of(before).sequence

    def _make_room(self, key: Key, issued: int) -> bool:
        theirs = [k for k in self.order if k[0] == key[0]]
        if len(theirs) >= 2:
            oldest = min(theirs, key=lambda k: record_of(self.records[k]).issued_ms)
            if record_of(self.records[oldest]).issued_ms > issued:
                return False
        elif len(self.order) >= 2:
            oldest = self.order[0]
        else:
            return True
        self.order.remove(oldest)
        del self.records[oldest]
        return True

    @invariant()
    def what_is_found_is_what_stands(self) -> None:
        found = self.store.catalogue.search().models
        assert list(found) == self.known
        assert not any(self._contradicted(signed) for signed in found)
        for name in NAMES:
            same = [s for s in self.known if read(s).name == name]
            assert list(self.store.catalogue.search(name=name).models) == same
            records = [s for key, s in sorted(self.records.items()) if key[1] == name]
            assert self.store.names.named(name) == records
            for key in KEYS:
                assert self.store.names.get(key.address, name) == self.records.get((key.address, name))
        assert self.store.names.count == len(self.records)
        assert self.order == [key for key in self.order if key in self.records and not self._stays(key)]

    @invariant()
    def every_entry_of_every_table_leads_somewhere(self) -> None:
        environment = self.store._environment
        with environment.read() as txn:

            def entries(table: str) -> list[tuple[bytes, bytes]]:
                return [(bytes(k), bytes(v)) for k, v in txn.cursor(environment.table(table)).iternext()]

            places = {model: place for place, model in entries("places")}
            assert {model: value[:8] for model, value in entries("known")} == places
            postings = {(word, places[s.model]) for s in self.known for word in words_of(read(s))}
            assert set(entries("words")) == postings
            assert {key for key, _ in entries("namesakes")} == {f"{n}\0".encode() + p for p, n in self.records}
            heard = entries("heard")
            assert [entry[8:] for _, entry in heard] == [p + n.encode() for p, n in self.order]
            assert set(entries("issued")) == {(entry[8:28], entry[:8] + place) for place, entry in heard}
            kept = {key: value[:9] for key, value in entries("name_records")}
            listed = {entry[8:]: place for place, entry in heard}
            assert kept == {
                p + n.encode(): listed.get(p + n.encode(), bytes(8)) + bytes(((p, n) in self.own,))
                for p, n in self.records
            }
            assert {model for model, _ in entries("counts")} == set(self.counts)
        for model, seen in self.counts.items():
            assert self.store.seen.get(model) == Seen(pulls=seen, calls=2 * seen)

    def teardown(self) -> None:
        self._closing.close()
        self._leaving.close()


TestNamesMachine = NamesMachine.TestCase
TestNamesMachine.settings = settings(max_examples=60, stateful_step_count=50)
