"""A provider's attester found and put to work, where there is one."""

from __future__ import annotations

import logging
from functools import cache, partial

import trio

from ..peer import Peer
from .attester import find_attester
from .collateral import Collaterals
from .exchange import ask_collateral
from .runtime import measure_runtime
from .service import Attesting

log = logging.getLogger("hallmark.attesting")


async def run_attesting(peer: Peer) -> None:
    """Keep this provider attested, until cancelled; returns at once where nothing can attest it."""
    local = peer.local
    measure = cache(measure_runtime)
    found = await trio.to_thread.run_sync(find_attester, local.config.attester, local.directory.attester_key, measure)
    if found.attester is None:
        log.info("no tier tee: %s", "; ".join(found.looked))
        return
    if found.attester.kind == "dev":
        log.warning("tier tee is offered with a development attester: its certificates say dev, and prove nothing")
    runtime = await trio.to_thread.run_sync(measure)
    collaterals = Collaterals(local.directory.collateral)
    ask_peers = partial(ask_collateral, peer)
    peer.attesting = Attesting(local, peer.ready, found.attester, runtime, collaterals, ask_peers)
    try:
        await peer.attesting.run()
    finally:
        peer.attesting = None
