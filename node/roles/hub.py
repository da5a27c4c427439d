"""The hub: tells the DHT which models it holds, so that any peer can fetch them from here, and mirrors others' models
as its policy asks.

Serving the blobs themselves needs no role: every running peer shares what it has.
"""

from __future__ import annotations

import logging

import trio

from wire.errors import RecordError, RemoteError
from wire.manifest import SignedManifest, read_manifest

from ..peer import Peer
from ..supervise import supervise
from .mirror import run_mirror

log = logging.getLogger("hallmark.hub")

REPROVIDE_SECONDS = 3600.0  # others keep a provider record for four hours; one keeps it fresh through churn
RETRY_SECONDS = 10.0  # while somebody has yet to hear of a model


async def run_hub(peer: Peer) -> None:
    """Announce and mirror, for ever."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, "mirroring", lambda: run_mirror(peer))
        nursery.start_soon(_announce_all, peer)


async def _announce_all(peer: Peer) -> None:
    """Announce every complete model, when it comes and again every hour."""
    told: dict[bytes, float] = {}
    while True:
        now, seen = trio.current_time(), peer.local.models_changed.count
        here = peer.local.store.models.all()
        for model in told.keys() - {signed.model for signed in here}:
            peer.host.discovery.withdraw(model)
            del told[model]
        due = [s for s in here if now - told.get(s.model, -REPROVIDE_SECONDS) >= REPROVIDE_SECONDS]
        for signed in due:
            if await _announce(peer, signed):
                told[signed.model] = now
        waiting = any(signed.model not in told for signed in due)
        await peer.local.models_changed.wait(RETRY_SECONDS if waiting else REPROVIDE_SECONDS, since=seen)


async def _announce(peer: Peer, signed: SignedManifest) -> bool:
    try:
        manifest = read_manifest(signed, peer.network.domain, signed.model)
        if not all(peer.local.store.blobs.complete(f.blob) for f in manifest.files):
            return False
        return await peer.host.provide(signed.model)
    except (RemoteError, RecordError) as error:
        log.info("%s is not announced yet: %s", signed.cid, error)
        return False
