"""`reach`: whether others can reach this peer, who found that out, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import trio

from p2p import Reach

from ..control import Emit
from ..peer import Peer
from ..reaching import describe

PATIENCE = 30.0  # seconds for peers to be found and to dial back


def _may_be_asked(peer: Peer) -> bool:
    """Whether there is, or may soon be, somebody who could dial back."""
    return bool(peer.host.connected()) or peer.host.is_joining()


async def show_reach(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """What is known now; with `wait`, once it is known, or what there is after half a minute."""
    if params.get("wait"):
        with trio.move_on_after(PATIENCE):
            while (found := peer.host.reachability()).state is Reach.CHECKING and _may_be_asked(peer):
                emit({"event": "reaching", "text": "being dialled back by others", "asked": len(found.checkers)})
                await peer.reach_changed.wait(2.0)
    met = peer.host.rendezvous()
    return describe(peer.host.reachability(), peer.local.config.listen) | {
        "rendezvous": None if met is None else asdict(met),
        "rendezvous_wanted": bool(peer.local.config.rendezvous),
    }
