"""Fetching a whole model from everybody who has it, or some of it: what `model pull` and a mirroring hub both do.

Whoever serves while it fetches is found by others who fetch the same, so that a crowd is not as slow as the few who had
all of it at first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import trio

from p2p import fetch_blob
from wire.errors import RemoteError
from wire.manifest import Manifest, SignedManifest

from .clock import now_ms
from .control import Emit
from .finding import holders
from .peer import Peer
from .pulling import QUIET, Pulling
from .zk.knowing import fetch_circuits

LOOK_EVERY = 5.0  # seconds between two looks for further peers while a model is fetched


@dataclass(frozen=True)
class Fetched:
    """What came in bytes, and how many seconds that took."""

    size: int
    seconds: float


async def fetch_model(
    peer: Peer, signed: SignedManifest, manifest: Manifest, emit: Emit, *, mirrored: bool = False
) -> Fetched:
    """Bring a model's files and manifest into the store; what is here already is not fetched again.

    `mirrored`: nobody here asked for it, so that it may be dropped again. RemoteError when no peer has what is missing,
    StoreError when it cannot be kept; what came by then stays.
    """
    store = peer.local.store
    async with (
        store.holding([f.blob for f in manifest.files]),  # not garbage, though no manifest names them
        _found_by_others(peer, signed.model),
    ):
        started, size = trio.current_time(), 0
        missing = [f for f in manifest.files if not store.blobs.complete(f.blob)]
        peers = await holders(peer, signed.model) if missing else []
        for file in missing:
            pulling = Pulling()

            def progress(
                done: int, total: int, peer_id: str, text: str, path: str = file.path, pulling: Pulling = pulling
            ) -> None:
                pulling.note(done, total, peer_id, text, trio.current_time())
                step = {"event": "pulling", "file": path, "done": done, "total": total, "peer": peer_id}
                step |= pulling.figures(total, trio.current_time())
                emit(step | ({"text": f"{path}: {peer_id}: {text}"} if text not in QUIET else {}))

            await fetch_blob(peer.host, peers, file.blob, store, progress, _more_holders(peer, signed.model))
            size += pulling.fetched
        await store.in_thread(partial(store.models.put, signed, mirrored_ms=now_ms() if mirrored else 0))
        if manifest.interface == "tensors":
            await fetch_circuits(peer, signed.model, manifest, peers)
    peer.local.models_changed.notify()
    return Fetched(size, trio.current_time() - started)


@asynccontextmanager
async def _found_by_others(peer: Peer, model: bytes) -> AsyncIterator[None]:
    """While a model is fetched others are told that this peer has some of it, if it stays and serves.

    A hub goes on telling of what it has in the end. For the others, and where nothing came of it, what was said lapses.
    """
    if not peer.roles:
        yield
        return
    whole = False
    peer.host.discovery.provide_soon(model)
    try:
        yield
        whole = True
    finally:
        if not (whole and "hub" in peer.roles):
            peer.host.discovery.withdraw(model)


async def _more_holders(peer: Peer, model: bytes) -> AsyncIterator[str]:
    """Peers that turn up while a fetch runs, for ever."""
    while True:
        await trio.sleep(LOOK_EVERY)
        try:
            found = await holders(peer, model)
        except RemoteError:
            continue  # nobody now; the fetch itself knows when to give up
        for peer_id in found:
            yield peer_id
