"""Names: what a command line means by one, and whether what others say of one is believed. A machine without I/O.

Rulings stand rule by rule in docs/protocol.md. REJECT costs the sender, so it is only for what no honest peer would
pass on; what is merely late or known already is IGNOREd.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec import ValidationError, convert

from wire.canonical import decode
from wire.cid import to_cid
from wire.eip712 import Domain
from wire.errors import RecordError
from wire.manifest import ModelName, SignedManifest, read_manifest
from wire.name import Announcement, NameRecord, SignedName, is_of, name_key, read_name
from wire.version import Version

from .noticeboard import Notice, Ruling
from .petnames import find_publisher

_PUBLISHER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]*")  # a petname, an address, a peer id; never a path
CID_HEAD = to_cid(bytes(32))[:9]  # what every model's CID begins with

Known = Callable[[bytes, str], int]
"""The sequence of the newest record that is known of a publisher's name; -1 when none is."""


@dataclass(frozen=True)
class Reference:
    """`publisher/name@version` as somebody typed it. None, or "", where a part was left out."""

    publisher: bytes | None
    name: str
    version: str


@dataclass(frozen=True)
class News:
    """What is believed, and not known yet: a name record, read, and manifests that are of it."""

    record: NameRecord
    signed: SignedName
    manifests: tuple[SignedManifest, ...] = ()


def parse_reference(text: str, petnames: Mapping[str, bytes]) -> Reference | None:
    """The name in `text`; None when it is none, as a CID, its beginning or a path.

    CommandError when it names a publisher whom nobody knows, or by an address that was mistyped.
    """
    publisher, slash, rest = text.rpartition("/")
    name, at, version = rest.partition("@")
    try:
        convert(name, ModelName)
        if at:
            convert(version, Version)
    except ValidationError:
        return None
    if not slash:  # a stranger's name can look like the beginning of a CID, and must not be taken for it
        return None if name.startswith(CID_HEAD) else Reference(None, name, version)
    return Reference(find_publisher(publisher, petnames), name, version) if _PUBLISHER.fullmatch(publisher) else None


def rule_on_record(signed: SignedName, domain: Domain, now_ms: int, known: Known) -> News | Notice:
    """What to believe of one record, whoever brings it."""
    try:
        record = read_name(signed, domain)
    except RecordError as error:
        return Notice(Ruling.REJECT, f"malformed or badly signed: {error}")
    if not record.is_current(now_ms):
        return Notice(Ruling.IGNORE, "expired, or from the future")
    if record.sequence <= known(record.publisher, record.name):
        return Notice(Ruling.IGNORE, "not newer than what is known (a duplicate or a replay)")
    return News(record, signed)


def rule_on_announcement(data: bytes, domain: Domain, now_ms: int, known: Known) -> News | Notice:
    """What to believe of an encoded `Announcement`."""
    try:
        announcement = decode(data, Announcement)
    except RecordError as error:
        return Notice(Ruling.REJECT, f"malformed: {error}")
    news = rule_on_record(announcement.name, domain, now_ms, known)
    if isinstance(news, Notice):
        return news
    for signed in announcement.manifests:
        try:
            manifest = read_manifest(signed, domain)
        except RecordError as error:
            return Notice(Ruling.REJECT, f"a manifest is malformed or badly signed: {error}")
        if not is_of(manifest, signed.model, news.record):
            return Notice(Ruling.REJECT, "a manifest is not of the record")
    return News(news.record, news.signed, announcement.manifests)


def rank_in_dht(key: bytes, value: bytes, domain: Domain, now_ms: int) -> tuple[int, bytes] | None:
    """A DHT value's sequence, which ranks it, and publisher; None for no current record of the name behind `key`."""
    try:
        record = read_name(decode(value, SignedName), domain)
    except RecordError:
        return None
    of_key = key == name_key(record.publisher, record.name)
    return (record.sequence, record.publisher) if of_key and record.is_current(now_ms) else None
