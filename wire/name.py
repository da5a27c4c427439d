"""The name record: which models stand behind a publisher's name for them, version by version.

One record holds all versions of one name, so that what is withdrawn and what replaced it are never told apart. Signed,
sequenced, expiring: a higher `sequence` replaces a lower one, and a publisher that is silent for too long is no longer
quoted. It spreads by gossip, by hubs and by the DHT.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from .bounds import CLOCK_SKEW_MS, MAX_NAME_LIFE_MS, MAX_NAME_RECORD, MAX_VERSIONS, U63, Address, Hash32, Line, TimeMs
from .canonical import Record, decode, encode
from .cid import content_hash
from .eip712 import Domain, StructType
from .errors import RecordError
from .keys import NodeKey
from .manifest import Manifest, ModelName, SignedManifest
from .signed import Signed, check_signature, sign
from .version import Version, is_prerelease, precedence

NAME = StructType("Name", ("address", "publisher"), ("bytes32", "name"))


class Named(Record):
    """One version of a name: the model that it means, or, once it was withdrawn, the publisher's reason."""

    version: Version
    model: Hash32
    withdrawn: Line | None


class NameRecord(Record):
    """All that one publisher says of one name; the highest version stands first."""

    publisher: Address
    name: ModelName
    versions: Annotated[tuple[Named, ...], Meta(min_length=1, max_length=MAX_VERSIONS)]
    sequence: U63
    issued_ms: TimeMs
    expires_ms: TimeMs

    def is_current(self, now_ms: int) -> bool:
        """Whether it holds at `now_ms`; one from the future (beyond clock skew) does not."""
        return self.issued_ms - CLOCK_SKEW_MS <= now_ms < self.expires_ms

    def of(self, version: str = "") -> Named | None:
        """That version, withdrawn or not; without one the highest that stands, a pre-release only if all are."""
        if version:
            return next((named for named in self.versions if named.version == version), None)
        standing = [named for named in self.versions if named.withdrawn is None]
        released = [named for named in standing if not is_prerelease(named.version)]
        return next(iter(released or standing), None)

    def stands(self, model: bytes) -> bool:
        """Whether the record names this model, and has not withdrawn it."""
        return any(named.model == model and named.withdrawn is None for named in self.versions)


class SignedName(Signed):
    """A name record's canonical bytes with the publisher's signature over their hash."""


class Announcement(Record):
    """What gossip carries of names: the newest word on one, with the manifests that are news where they fit."""

    name: SignedName
    manifests: Annotated[tuple[SignedManifest, ...], Meta(max_length=8)]


def sign_name(record: NameRecord, key: NodeKey, domain: Domain) -> SignedName:
    """The publisher's signed name record; ValueError when `key` is another's, RecordError when it is too long."""
    if record.publisher != key.address:
        raise ValueError("the name record names another publisher than the key that would sign it")
    body = encode(record)
    if len(body) > MAX_NAME_RECORD:
        raise RecordError(f"Name: {len(body)} bytes, the bound is {MAX_NAME_RECORD}; leave old versions out")
    return sign(SignedName, NAME, body, key, domain)


def read_name(signed: SignedName, domain: Domain) -> NameRecord:
    """The record inside, its bounds, its order and its signature checked; its time is a separate question."""
    record = decode(signed.body, NameRecord, limit=MAX_NAME_RECORD)
    check_signature(signed, NAME, record.publisher, domain)
    if not 0 < record.expires_ms - record.issued_ms <= MAX_NAME_LIFE_MS:
        raise RecordError(f"Name: lives longer than {MAX_NAME_LIFE_MS} ms, or ends before it begins")
    order = [precedence(named.version) for named in record.versions]
    if any(low >= high for high, low in pairwise(order)):
        raise RecordError("Name: its versions do not fall strictly")
    if len({named.model for named in record.versions}) != len(record.versions):
        raise RecordError("Name: two versions are one model")
    return record


def is_of(manifest: Manifest, model: bytes, record: NameRecord) -> bool:
    """Whether the record is about this manifest: same publisher and name, and its version means this model."""
    named = record.of(manifest.version)
    same = (manifest.publisher, manifest.name) == (record.publisher, record.name)
    return same and named is not None and named.model == model


def name_key(publisher: bytes, name: str) -> bytes:
    """Under which 32 bytes the DHT holds the record."""
    return content_hash(b"hallmark name\0" + publisher + name.encode())
