"""`hallmark network update`, and what `hallmark network add` tells a running node."""

from __future__ import annotations

from typing import Any

from wire.errors import RecordError, RemoteError
from wire.keys import show_address

from ..bounds import UPDATE_ASKED
from ..control import Emit
from ..errors import CommandError, Exit
from ..joining import has_company
from ..peer import Peer


async def update_network(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Ask the file's URLs and the connected peers for a newer file, and take it over.

    Result: network, before, version, publisher, asked, failures.
    """
    before, updates = peer.network, peer.updates
    if before.publisher is None or updates is None:
        raise CommandError(
            Exit.CONFIG,
            f"the file of network {before.name!r} names no publisher, so nobody can sign a newer one",
            "Ask whoever runs the network for a file, and: hallmark network add FILE",
        )
    asked, failures = 0, list[str]()
    for url in before.updates:
        emit({"event": "asking", "text": f"asking {url}"})
        asked += 1
        try:
            await updates.ask_url(url)
        except CommandError as error:
            failures.append(error.message)
        except RecordError as error:
            failures.append(f"the file at {url} is not taken: {error}")
    if await has_company(peer, emit):
        for status in peer.host.connected()[:UPDATE_ASKED]:
            asked += 1
            try:
                await updates.ask_peer(status.peer_id)
            except RemoteError as error:
                failures.append(error.message)
    now = peer.network
    return {
        "network": now.name,
        "before": before.version,
        "version": now.version,
        "publisher": show_address(now.publisher or before.publisher),
        "asked": asked,
        "failures": failures,
    }


async def take_file(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Take over a signed file that this node's user has just stored, where it is a newer one of this network.

    Result: taken.
    """
    text, before = str(params["text"]), peer.network.version
    try:
        if peer.updates is not None:
            peer.updates.take(text, "this peer's user")
    except RecordError:  # of another network that is stored here, say
        pass
    return {"taken": peer.network.version > before}
