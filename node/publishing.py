"""What a publisher says of its own names: the record that follows the one before it. No I/O but for `publish`."""

from __future__ import annotations

from collections.abc import Sequence

from wire.bounds import MAX_NAME_RECORD, MAX_VERSIONS
from wire.canonical import decode, encode
from wire.manifest import SignedManifest
from wire.name import Named, NameRecord, SignedName, sign_name
from wire.version import precedence

from .bounds import NAME_LIFE_MS
from .clock import now_ms
from .local import Local


def with_version(before: NameRecord | None, publisher: bytes, name: str, named: Named, now_ms: int) -> NameRecord:
    """The record after `before` in which this version is as `named` says."""
    others = [other for other in before.versions if other.version != named.version] if before else []
    return _next(before, publisher, name, [*others, named], now_ms)


def renewed(record: NameRecord, now_ms: int) -> NameRecord:
    """The same again, for another life."""
    return _next(record, record.publisher, record.name, record.versions, now_ms)


def is_due(record: NameRecord, now_ms: int) -> bool:
    """Whether less than half of the record's life is left."""
    return record.expires_ms - now_ms < (record.expires_ms - record.issued_ms) / 2


def _next(before: NameRecord | None, publisher: bytes, name: str, versions: Sequence[Named], now_ms: int) -> NameRecord:
    falling = sorted(versions, key=lambda named: precedence(named.version), reverse=True)
    while True:
        record = NameRecord(
            publisher=publisher,
            name=name,
            versions=tuple(falling),
            sequence=max(now_ms, before.sequence + 1 if before else 0),
            issued_ms=now_ms,
            expires_ms=now_ms + NAME_LIFE_MS,
        )
        if len(falling) <= MAX_VERSIONS and len(encode(record)) <= MAX_NAME_RECORD:
            return record
        # The lowest that stands is found by its CID; a withdrawal that is forgotten would be undone.
        standing = [named for named in falling[1:] if named.withdrawn is None]
        falling.remove(standing[-1] if standing else falling[-1])


def own_record(local: Local, name: str) -> NameRecord | None:
    """This peer's own newest record of a name."""
    signed = local.store.names.get(local.key.address, name)
    return decode(signed.body, NameRecord) if signed else None


async def publish(local: Local, record: NameRecord, manifest: SignedManifest | None = None) -> SignedName:
    """Sign a record of this peer's own and keep it, after the manifest that it names; a running node announces it."""
    signed = sign_name(record, local.key, local.network.domain)

    def keep() -> None:
        if manifest is not None:
            local.store.models.put(manifest)
        local.store.names.put(signed, own=True)
        if manifest is not None:
            local.store.catalogue.put([manifest])

    await local.store.in_thread(keep)
    if manifest is not None:
        local.models_changed.notify()
    local.names_changed.notify()
    return signed


async def publish_version(local: Local, version: str, manifest: SignedManifest, name: str) -> SignedName:
    """Let `name@version` mean this manifest, which is this peer's own."""
    named = Named(version=version, model=manifest.model, withdrawn=None)
    record = with_version(own_record(local, name), local.key.address, name, named, now_ms())
    return await publish(local, record, manifest)
