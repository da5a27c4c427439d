"""Opening a host: it runs for the length of a block, and what goes wrong inside is told as it was raised."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from wire.keys import NodeKey
from wire.network import Network

from .blobs.uploads import Uploads
from .dht.records import Judge
from .host import Host
from .options import Options
from .rendezvous.amino import SEEDS
from .serving import sole
from .standing.ranges import Ranges


@asynccontextmanager
async def open_host(
    key: NodeKey,
    network: Network,
    *,
    listen: Sequence[str],
    bootstraps: Sequence[str] = (),
    peerbook: Path | None = None,
    judge: Judge | None = None,
    uploads: Uploads | None = None,
    standing: Path | None = None,
    announce: Sequence[str] = (),
    port_mapping: bool = False,
    mdns: bool = False,
    relay: bool = False,
    relays: Sequence[str] = (),
    ranges: Ranges | None = None,
    rendezvous: Sequence[str] = (),
    rendezvous_seeds: Sequence[str] = SEEDS,
) -> AsyncIterator[Host]:
    """Run a peer for the length of the block. `Options` says what each of these means.

    ValueError for a `listen` that is no address to listen on, OSError when it cannot be listened on.
    """
    options = Options(
        listen=listen,
        bootstraps=bootstraps,
        peerbook=peerbook,
        judge=judge,
        uploads=uploads or Uploads(),
        standing=standing,
        announce=announce,
        port_mapping=port_mapping,
        mdns=mdns,
        relay=relay,
        relays=relays,
        ranges=ranges or Ranges(),
        rendezvous=rendezvous,
        rendezvous_seeds=rendezvous_seeds,
    )
    targets = options.targets()
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            host = Host(key, network, nursery, options)
            async with host.run(targets):
                try:
                    yield host
                except Exception as error:  # carried around the library's services: an exception is lost in their end
                    failure = error
    except ExceptionGroup as group:
        # What the block raised passed through nurseries that are nobody's business but ours.
        raised = sole(group)
        raise raised from raised.__cause__
    if failure is not None:
        raise failure
