"""The settler: keeps proved receipts, agrees with the others on who earned what, and sees it through to the payout."""

from __future__ import annotations

import logging
import time

import trio

from settle.chain import ChainError
from settle.ledger import Ledger
from storage import StoreError
from wire.errors import RemoteError

from ..bounds import CHAIN_LOOK
from ..peer import Peer
from ..settling.book import Book
from ..settling.clock import ChainClock
from ..settling.desk import Desk
from ..settling.serving import SettleService
from ..settling.watching import Watch

log = logging.getLogger("hallmark.settler")


async def run_settler(peer: Peer) -> None:
    """Settle until cancelled. Only on a network with a chain."""
    assert peer.chain is not None
    clock, ledger, book = ChainClock(time.monotonic, time.time), Ledger(peer.chain), Book(peer.local.store)
    genesis, seconds, _ = await ledger.fixed()
    clock.saw(await peer.chain.head())
    desk = Desk(peer, clock, genesis, seconds)
    await trio.to_thread.run_sync(desk.load)
    watch = Watch(peer, peer.chain, ledger, desk, clock, book)
    peer.host.handle("settle", SettleService(peer, desk, watch, book).serve)
    if peer.sender is None:
        log.warning("no account is unlocked here: this settler signs roots, and leaves it to others to post them")
    least, most = CHAIN_LOOK
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run)
        while True:
            try:
                await watch.look()
            except (ChainError, StoreError, RemoteError) as error:
                log.warning("settling waits: %s", error)
            await trio.sleep(max(least, min(most, seconds / 60)))
