"""Own names on their way to everybody: gossiped, kept in the DHT, signed again before they end; and what gossip left
out of others' announcements is asked for."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from p2p.bounds import GOSSIP
from wire.canonical import decode, encode
from wire.errors import RemoteError
from wire.manifest import SignedManifest
from wire.name import Announcement, NameRecord, SignedName, name_key

from .bounds import ANNOUNCE_EVERY, ANNOUNCE_PAUSE
from .catalogue import about, ask_models
from .clock import now_ms
from .listing import unlisted
from .ownnames import OwnNames
from .peer import Peer
from .publishing import is_due, own_record, publish, renewed
from .resolving import look_for

log = logging.getLogger("hallmark.names")

DHT_EVERY = 24 * 3600.0  # the host itself gives a record to the DHT every hour, until it meets a newer one
MOST_MANIFESTS = 8  # of one announcement: see `wire.name.Announcement`
LONGEST = 3600.0  # seconds between two looks at what may be due, if nothing changes
LONELY_SECONDS = 1.0  # between two looks for a neighbour while there is something to say

Say = Callable[[NameRecord, SignedName, OwnNames], Awaitable[object]]


async def run_names(peer: Peer) -> None:
    """Say what this peer's names mean, until cancelled."""

    async def gossip(record: NameRecord, signed: SignedName, own: OwnNames) -> None:
        await peer.host.publish("names", announcement(signed, _manifests(peer, own.news(record))))

    async def keep(record: NameRecord, signed: SignedName, _: OwnNames) -> bool:
        return await peer.host.put_record(name_key(record.publisher, record.name), encode(signed))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_say, peer, OwnNames(ANNOUNCE_EVERY), gossip)
        nursery.start_soon(_say, peer, OwnNames(DHT_EVERY), keep)
        nursery.start_soon(_renew, peer)
        nursery.start_soon(_list_own, peer)
        nursery.start_soon(_complete, peer)


async def _say(peer: Peer, own: OwnNames, say: Say) -> None:
    """Say each of this peer's names when it is time, one after the other."""
    changed = peer.local.names_changed
    while True:
        seen, entries = changed.count, await _own(peer)
        signed = {record.name: entry for record, entry in entries}
        own.hold(record for record, _ in entries if record.is_current(now_ms()))
        while changed.count == seen:
            record = own.next(trio.current_time())
            if record is None:
                await changed.wait(min(own.wait(trio.current_time()), LONGEST), since=seen)
            elif not peer.host.neighbours("names"):
                await changed.wait(LONELY_SECONDS, since=seen)
            else:
                await say(record, signed[record.name], own)
                own.said(record, trio.current_time())
                await trio.sleep(ANNOUNCE_PAUSE)


async def _renew(peer: Peer) -> None:
    """Sign again what is about to end; a newer record, of this key on another machine, is asked for and not undone."""
    changed = peer.local.names_changed
    while True:
        seen = changed.count
        for record, _ in await _own(peer):
            if is_due(record, now_ms()):
                await look_for(peer, record.publisher, record.name)
                newest = own_record(peer.local, record.name)
                if newest is not None and is_due(newest, now_ms()):
                    await publish(peer.local, renewed(newest, now_ms()))
                await trio.sleep(ANNOUNCE_PAUSE)
        await changed.wait(LONGEST, since=seen)


async def _own(peer: Peer) -> list[tuple[NameRecord, SignedName]]:
    entries = await trio.to_thread.run_sync(peer.local.store.names.of, peer.local.key.address)
    return [(decode(signed.body, NameRecord), signed) for signed in entries]


async def _list_own(peer: Peer) -> None:
    """Keep the models of the store in the catalogue, from which others are told of models."""
    listed: set[bytes] = set()
    while True:
        seen = peer.local.models_changed.count
        fresh = await trio.to_thread.run_sync(unlisted, peer.local.store, listed)
        await peer.intake.learn((), fresh)
        listed.update(signed.model for signed in fresh)
        await peer.local.models_changed.wait(LONGEST, since=seen)


def announcement(signed: SignedName, manifests: list[SignedManifest]) -> bytes:
    """What gossip carries of a record, with as many of the manifests as fit."""
    taken: list[SignedManifest] = []
    data = encode(Announcement(name=signed, manifests=()))
    for manifest in manifests[:MOST_MANIFESTS]:
        longer = encode(Announcement(name=signed, manifests=(*taken, manifest)))
        if len(longer) <= GOSSIP:
            taken.append(manifest)
            data = longer
    return data


def _manifests(peer: Peer, models: list[bytes]) -> list[SignedManifest]:
    store = peer.local.store
    found = (store.manifest(model) or store.catalogue.get(model) for model in models[:MOST_MANIFESTS])
    return [signed for signed in found if signed is not None]


async def _complete(peer: Peer) -> None:
    """Ask for the manifests that announcements had no room for: whoever announced them, or a hub, if connected."""
    intake = peer.intake
    while True:
        seen = intake.kept.count
        for (publisher, name), author in list(intake.wanted.items()):
            intake.wanted.pop((publisher, name), None)
            connected = [status.peer_id for status in peer.host.connected()]
            asked = next((p for p in [author, *filter(peer.is_hub, connected)] if p in connected), None)
            if asked is None:
                continue  # the next look into a hub's catalogue will bring it
            try:
                await ask_models(peer, asked, about(name, publisher))
            except RemoteError as error:
                log.info("%s did not tell what %s is: %s", asked, name, error)
        await intake.kept.wait(LONGEST, since=seen)
