"""Pages of models: what this peer tells of those it knows, and what of others' pages it believes.

Both read the store for longer than the loop should wait, and so run in a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from storage import Store
from wire.canonical import decode
from wire.catalogue import MAX_ENTRIES, MAX_GONE, MAX_REPLY, AskModels, Listed, Models
from wire.eip712 import Domain
from wire.errors import RecordError
from wire.manifest import Manifest, SignedManifest, read_manifest
from wire.name import NameRecord, SignedName, is_of, read_name

ENTRY_FRAME = 256  # bytes of an entry beside its two bodies: field names, signatures, numbers


def list_models(store: Store, question: AskModels, is_held: Callable[[SignedManifest], bool]) -> Models:
    """The page that answers `question`; as many entries as fit a reply, one at least. RecordError as a search has."""
    limit = MAX_ENTRIES
    while True:
        page = store.catalogue.search(
            question.text,
            name=question.name,
            task=question.task,
            tag=question.tag,
            licence=question.licence,
            publisher=question.publisher or b"",
            limit=limit,
            cursor=question.cursor,
        )
        entries = [_listed(store, signed, is_held) for signed in page.models]
        fitting = _fitting(entries)
        if fitting == len(entries):
            gone = () if entries or question.cursor else _gone(store, question)
            return Models(entries=tuple(entries), cursor=page.cursor, gone=gone)
        limit = fitting  # searched again, since only the search knows where a shorter page ends


def _gone(store: Store, question: AskModels) -> tuple[SignedName, ...]:
    if not question.name or question.text or question.task or question.tag or question.licence:
        return ()
    known = [(decode(signed.body, NameRecord), signed) for signed in store.names.named(question.name)]
    return tuple(s for record, s in known if record.of() is None and _asked(question, record.publisher))[:MAX_GONE]


def unlisted(store: Store, listed: Collection[bytes]) -> list[SignedManifest]:
    """The models of this store that are not in the catalogue, from which others are told; but not those `listed`."""
    absent = (model for model in store.models.ids() if model not in listed and store.catalogue.get(model) is None)
    return [signed for model in absent if (signed := store.manifest(model)) is not None]


def _listed(store: Store, signed: SignedManifest, is_held: Callable[[SignedManifest], bool]) -> Listed:
    manifest, seen = decode(signed.body, Manifest), store.seen.get(signed.model)
    record = store.names.get(manifest.publisher, manifest.name)
    return Listed(manifest=signed, name=record, held=is_held(signed), pulls=seen.pulls, calls=seen.calls)


def _fitting(entries: list[Listed]) -> int:
    room = MAX_REPLY
    for count, entry in enumerate(entries):
        room -= len(entry.manifest.body) + (len(entry.name.body) if entry.name else 0) + ENTRY_FRAME
        if room < 0:
            return max(1, count)
    return len(entries)


@dataclass(frozen=True)
class Believed:
    """What of a page holds: entries under the newest name record that is known, and the records that it brought."""

    page: Models
    names: tuple[SignedName, ...]
    manifests: tuple[SignedManifest, ...]


def believe(store: Store, domain: Domain, question: AskModels, page: Models, now_ms: int) -> Believed:
    """Check a stranger's page as gossip is checked. What is not validly signed, is not of its name, was not asked for,
    or is withdrawn or replaced by the newest record that is known, is left out."""
    entries: list[Listed] = []
    names: dict[bytes, SignedName] = {}
    for listed in page.entries:
        try:
            signed, manifest = _manifest(store, domain, listed.manifest)
            known = store.names.get(manifest.publisher, manifest.name)
            told = _record(listed.name, known, domain, now_ms)
        except RecordError:
            continue
        if question.name not in ("", manifest.name) or not _asked(question, manifest.publisher):
            continue
        if told is not None:
            if (told[1].publisher, told[1].name) != (manifest.publisher, manifest.name):
                continue
            names[told[0].hash] = told[0]
        newest = _newer(told, known)
        if newest is not None and not _stands(manifest, signed.model, newest[1]):
            continue
        name = None if newest is None else newest[0]
        entries.append(Listed(manifest=signed, name=name, held=listed.held, pulls=listed.pulls, calls=listed.calls))
    for gone in page.gone:
        try:
            record = read_name(gone, domain)
        except RecordError:
            continue
        if record.is_current(now_ms) and record.name == question.name and _asked(question, record.publisher):
            names[gone.hash] = gone
    manifests = tuple(listed.manifest for listed in entries)
    return Believed(Models(entries=tuple(entries), cursor=page.cursor, gone=()), tuple(names.values()), manifests)


def _asked(question: AskModels, publisher: bytes) -> bool:
    return question.publisher in (None, publisher)


def _manifest(store: Store, domain: Domain, signed: SignedManifest) -> tuple[SignedManifest, Manifest]:
    known = store.catalogue.get(signed.model)  # ours, whose signature was checked when it came
    return (known, decode(known.body, Manifest)) if known else (signed, read_manifest(signed, domain))


def _record(
    signed: SignedName | None, known: SignedName | None, domain: Domain, now_ms: int
) -> tuple[SignedName, NameRecord] | None:
    if signed is None or signed == known:  # the latter was checked when it came
        return None
    record = read_name(signed, domain)
    return (signed, record) if record.is_current(now_ms) else None


def _newer(
    told: tuple[SignedName, NameRecord] | None, known: SignedName | None
) -> tuple[SignedName, NameRecord] | None:
    ours = (known, decode(known.body, NameRecord)) if known else None
    if told is None or ours is None:
        return told or ours
    return told if told[1].sequence > ours[1].sequence else ours


def _stands(manifest: Manifest, model: bytes, record: NameRecord) -> bool:
    """Whether the record does not speak against the manifest; an old version may have been left out of it."""
    return record.of(manifest.version) is None or (is_of(manifest, model, record) and record.stands(model))
