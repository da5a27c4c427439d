"""`reach`: whether others can reach this peer, who found that out, and what to do about it."""

from __future__ import annotations

from typing import Any

import trio

from p2p import Reach

from ..control import Emit
from ..peer import Peer
from ..reaching import describe

PATIENCE = 30.0  # seconds for peers to be found and to dial back


async def show_reach(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """What is known now; with `wait`, once it is known, or what there is after half a minute."""
    if params.get("wait"):
        with trio.move_on_after(PATIENCE):
            while (found := peer.host.reachability()).state is Reach.CHECKING:
                emit({"event": "reaching", "text": "being dialled back by others", "asked": len(found.checkers)})
                await peer.reach_changed.wait(5.0)
    return describe(peer.host.reachability(), peer.local.config.listen)
