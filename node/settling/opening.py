"""What settling adds to a peer: its outbox, and the role where it has that. Only on a network with a chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from ..peer import Peer
from .handing import Handing


def join_settling(peer: Peer) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """Open the outbox; the services to run."""
    assert peer.chain is not None
    peer.handing = Handing(peer, peer.chain)
    services: dict[str, Callable[[], Awaitable[None]]] = {"receipts for settlers": peer.handing.run}
    if "settler" in peer.roles:
        from ..roles.settler import run_settler

        services["settler"] = lambda: run_settler(peer)
    return services
