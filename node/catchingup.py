"""What was published before this peer came: asked of hubs, page by page, the newest word first.

A page without news ends the look, for what follows is older: but only where everything older is known to be here. So
a mark in the data directory says that the last look was finished, and a look that was interrupted is made anew.
"""

from __future__ import annotations

import logging

import trio

from wire.errors import RemoteError
from wire.keys import address_of, public_of

from .bounds import (
    ACQUAINT_SECONDS,
    CATCH_UP_EVERY,
    CATCH_UP_PAUSE,
    CATCH_UP_SECONDS,
    MAX_CATCH_UP,
    MAX_PAGES,
)
from .catalogue import about, ask_page
from .peer import Peer

log = logging.getLogger("hallmark.names")


async def run_catching_up(peer: Peer) -> None:
    """Ask each connected hub for all it knows, now and every hour, and each other peer that serves for its own."""
    asked: dict[str, float] = {}
    while True:
        connected = {status.peer_id for status in peer.host.connected()}
        asked = {peer_id: when for peer_id, when in asked.items() if peer_id in connected}
        for peer_id in connected:
            is_new, is_hub = peer_id not in asked, peer.is_hub(peer_id)
            again = is_hub and trio.current_time() - asked.get(peer_id, 0.0) >= CATCH_UP_EVERY
            if peer.presence_of(peer_id) is None or not (is_new or again):
                continue
            asked[peer_id] = trio.current_time()
            with trio.move_on_after(CATCH_UP_SECONDS):
                try:
                    if is_hub:
                        await catch_up(peer, peer_id)
                    else:
                        await ask_page(peer, peer_id, about(publisher=address_of(public_of(peer_id))))
                except RemoteError as error:
                    log.info("%s told nothing of models: %s", peer_id, error)
        await trio.sleep(ACQUAINT_SECONDS)


async def catch_up(peer: Peer, peer_id: str) -> None:
    """One look into a hub's catalogue. RemoteError when it stays silent."""
    mark = peer.local.directory.caught_up
    was_whole, cursor, size, news = mark.exists(), None, 0, 0
    for _ in range(MAX_PAGES):
        asked = await ask_page(peer, peer_id, about(cursor=cursor))
        if asked.news and not news:
            mark.unlink(missing_ok=True)
        news, size, cursor = news + asked.news, size + asked.size, asked.page.cursor
        if cursor is None or (was_whole and not asked.news):
            mark.touch()
            break
        if size > MAX_CATCH_UP:
            break
        await trio.sleep(CATCH_UP_PAUSE)
    if news:
        log.info("%s told of models and names: %d were news", peer_id, news)
