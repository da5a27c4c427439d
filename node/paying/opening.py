"""A peer's payments: its books, and the services that look after them. Only on a network with a chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from storage.backup import Backup

from ..peer import Peer
from .claiming import Claiming
from .earning import Earning
from .keeping import Keeper
from .spending import Spending


def join_payments(peer: Peer, ending: AsyncExitStack) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """Open the peer's books; the services to run. StoreError when they, or their backup, cannot be used."""
    assert peer.chain is not None
    config, provides = peer.local.config, "provider" in peer.roles
    backup = None
    if provides and config.voucher_backup:
        backup = Backup(Path(config.voucher_backup).expanduser())
        ending.callback(backup.close)
    keeper = Keeper(peer.local.store, backup)
    peer.spending = Spending(peer.local, peer.chain, peer.sender, keeper)
    services: dict[str, Callable[[], Awaitable[None]]] = {"payments": keeper.run}
    if provides:
        peer.earning = Earning(peer.local, peer.chain, keeper, peer.ready.changed.notify)
        peer.claiming = Claiming(peer.earning, peer.local.key, peer.sender, config.coin_price)
        services["claims"] = peer.claiming.run
    return services
