"""The hub: tells the DHT which models it holds, so that any peer can fetch them from here, and mirrors others' models
as its policy asks.

Serving the blobs themselves needs no role: every running peer shares what it has.
"""

from __future__ import annotations

from collections.abc import Collection

import trio

from wire.errors import RecordError
from wire.manifest import SignedManifest, read_manifest

from ..peer import Peer
from ..supervise import supervise
from .mirror import run_mirror

LONGEST = 3600.0  # seconds between two looks at what is here, if nothing changes


async def run_hub(peer: Peer) -> None:
    """Announce and mirror, for ever."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, "mirroring", lambda: run_mirror(peer))
        nursery.start_soon(_announce_all, peer)


async def _announce_all(peer: Peer) -> None:
    """Announce every complete model when it comes. The DHT hears it again before that lapses: see `Discovery`."""
    told: set[bytes] = set()
    while True:
        seen = peer.local.models_changed.count
        here = await trio.to_thread.run_sync(peer.local.store.models.all)
        for model in told - {signed.model for signed in here}:
            peer.host.discovery.withdraw(model)
            told.discard(model)
        for model in await trio.to_thread.run_sync(_whole, peer, [s for s in here if s.model not in told]):
            peer.host.discovery.provide_soon(model)
            told.add(model)
        await peer.local.models_changed.wait(LONGEST, since=seen)


def _whole(peer: Peer, models: Collection[SignedManifest]) -> list[bytes]:
    """Those of the models that are this network's, and of which nothing is missing."""
    blobs, found = peer.local.store.blobs, []
    for signed in models:
        try:
            manifest = read_manifest(signed, peer.network.domain, signed.model)
        except RecordError:
            continue
        if all(blobs.complete(file.blob) for file in manifest.files):
            found.append(signed.model)
    return found
