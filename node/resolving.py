"""What a name means now: by the name record that is known, by a newer one where ours is old, never by a guess.

The order: the records and models of the store, then hubs, then the DHT. Between two publishers nobody chooses but the
user.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import trio

from wire.canonical import decode
from wire.catalogue import AskModels
from wire.errors import RecordError, RemoteError
from wire.manifest import Manifest, SignedManifest
from wire.name import Named, NameRecord, SignedName, name_key

from .bounds import CATALOGUE_SECONDS, MAX_ASKED, NAME_SECONDS, NAME_STALE_MS
from .catalogue import about, ask_models, ask_name, take_record
from .clock import now_ms
from .control import Emit
from .errors import CommandError, Exit
from .joining import until_connected, wait_for_peers
from .meaning import highest_here
from .naming import Reference
from .peer import Peer
from .petnames import calling

MAX_LISTED = 10  # publishers of one name, in a sentence
BY_CID = "By its CID it can still be had: hallmark model pull CID"


async def resolve(
    peer: Peer, reference: Reference, petnames: Mapping[str, bytes], emit: Emit
) -> tuple[NameRecord, Named] | SignedManifest:
    """The version that the name means, with the record that says so; or a model of the store of which no current
    record is known. CommandError when it means nothing, or several things."""
    publisher = reference.publisher or await publisher_of(peer, reference.name, petnames, emit)
    reference = Reference(publisher, reference.name, reference.version)
    whose = f"{calling(publisher, petnames)}/{reference.name}"
    here = highest_here(peer.local.store, reference)
    record = await newest_record(peer, publisher, reference.name, emit, needed=here is None)
    if record is None:
        if here is not None:
            return here
        raise CommandError(
            Exit.NOT_FOUND, f"nobody reached knows a model {whose!r}", "Give its CID, or ask its publisher."
        )
    if not record.is_current(now_ms()) and publisher != peer.local.key.address:
        since = datetime.fromtimestamp(record.issued_ms / 1000, UTC).strftime("%Y-%m-%d")
        silent = f"the publisher of {whose} has been silent since {since}"
        if here is not None:
            emit({"event": "silent", "text": f"{silent}; the copy that is here is taken"})
            return here
        raise CommandError(Exit.NOT_FOUND, f"{silent}, so that the name no longer holds", BY_CID)
    return record, _version(record, reference.version, whose)


def _version(record: NameRecord, version: str, whose: str) -> Named:
    named = record.of(version)
    if named is None and version:
        there = ", ".join(other.version for other in record.versions[:MAX_LISTED] if other.withdrawn is None)
        raise CommandError(Exit.NOT_FOUND, f"{whose} has no version {version}", f"Versions: {there or 'none'}.")
    gone = record.versions[0] if named is None else named
    if named is None or named.withdrawn is not None:
        reason = f": {gone.withdrawn}" if gone.withdrawn else ""
        raise CommandError(Exit.NOT_FOUND, f"{whose}@{gone.version} was withdrawn by its publisher{reason}", BY_CID)
    return named


async def publisher_of(peer: Peer, name: str, petnames: Mapping[str, bytes], emit: Emit) -> bytes:
    """The one publisher that has a model of that name, as far as is known here, or else to others."""
    known = _publishers(peer, name)
    if not known:
        await wait_for_peers(peer, emit)
        emit({"event": "asking", "text": f"asking who publishes {name}"})
        await ask_all(peer, about(name))
        known = _publishers(peer, name)
    if not known:
        raise CommandError(
            Exit.NOT_FOUND, f"nobody reached knows a model {name!r}", "Give its CID, or ask its publisher."
        )
    if len(known) > 1:
        lines = [f"  {calling(publisher, petnames)}/{name}" for publisher in known[:MAX_LISTED]]
        lines += ["  …"] if len(known) > MAX_LISTED else []
        message = f"several publishers have a model {name!r}:\n" + "\n".join(lines)
        raise CommandError(Exit.NOT_FOUND, message, "Say whose: PUBLISHER/NAME, or give a CID.")
    return known[0]


def _publishers(peer: Peer, name: str) -> list[bytes]:
    """Who is known to have something standing under that name; else who had."""
    store = peer.local.store
    records = {r.publisher: r for r in (decode(signed.body, NameRecord) for signed in store.names.named(name))}
    manifests = [*store.models.named(name), *store.catalogue.search(name=name).models]
    others = {decode(signed.body, Manifest).publisher for signed in manifests} - set(records)
    standing = {publisher for publisher, record in records.items() if record.of() is not None}
    return sorted(standing | others) or sorted(records)


async def newest_record(peer: Peer, publisher: bytes, name: str, emit: Emit, *, needed: bool) -> NameRecord | None:
    """The newest record of the name: what is known; and what others know, where that is old, or nothing, or this is a
    command, which hears no gossip.

    `needed`: without it the name means nothing, so that peers are waited for.
    """
    record, now = _known(peer, publisher, name), now_ms()
    is_old = record is not None and now - record.issued_ms > NAME_STALE_MS
    if publisher == peer.local.key.address or (record and record.is_current(now) and peer.hears and not is_old):
        return record
    if record is None and not needed:
        return None
    if needed and not (record and record.is_current(now)):
        await wait_for_peers(peer, emit)
        await look_for(peer, publisher, name, CATALOGUE_SECONDS)
    else:
        with trio.move_on_after(NAME_SECONDS):
            await until_connected(peer)
            await look_for(peer, publisher, name, NAME_SECONDS, dht=is_old)
    return _known(peer, publisher, name)


def _known(peer: Peer, publisher: bytes, name: str) -> NameRecord | None:
    signed = peer.local.store.names.get(publisher, name)
    return decode(signed.body, NameRecord) if signed else None


async def look_for(
    peer: Peer, publisher: bytes, name: str, seconds: float = CATALOGUE_SECONDS, *, dht: bool = True
) -> None:
    """Learn the newest record of a name that connected peers, hubs first, and the DHT have; in so many seconds.

    Once one has brought news, the others have a moment more.
    """
    scope = trio.CancelScope(deadline=trio.current_time() + seconds)

    def heard() -> None:
        scope.deadline = min(scope.deadline, trio.current_time() + NAME_SECONDS)

    async def ask(peer_id: str) -> None:
        try:
            if await ask_name(peer, peer_id, publisher, name):
                heard()
        except RemoteError:
            return  # another one may know

    async def ask_dht() -> None:
        value = await peer.host.get_record(name_key(publisher, name))
        try:
            if value is not None and await take_record(peer, decode(value, SignedName), publisher, name):
                heard()
        except RecordError:
            return  # the judge would have refused it

    with scope:
        async with trio.open_nursery() as nursery:
            for peer_id in _to_ask(peer):
                nursery.start_soon(ask, peer_id)
            if dht:
                nursery.start_soon(ask_dht)


async def ask_all(peer: Peer, question: AskModels) -> None:
    """Learn the models that connected peers know, hubs first; in CATALOGUE_SECONDS."""
    scope = trio.CancelScope(deadline=trio.current_time() + CATALOGUE_SECONDS)

    async def ask(peer_id: str) -> None:
        try:
            if (await ask_models(peer, peer_id, question)).entries:
                # Others have a moment more: one that is frozen or far away does not hold up what is known.
                scope.deadline = min(scope.deadline, trio.current_time() + NAME_SECONDS)
        except RemoteError:
            return  # another one may answer; if none does, the caller says that nobody knows the model

    with scope:
        async with trio.open_nursery() as nursery:
            for peer_id in _to_ask(peer):
                nursery.start_soon(ask, peer_id)


def _to_ask(peer: Peer) -> list[str]:
    """Connected peers, hubs first."""
    connected = [status.peer_id for status in peer.host.connected()]
    return sorted(connected, key=lambda peer_id: not peer.is_hub(peer_id))[:MAX_ASKED]
