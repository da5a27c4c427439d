"""`reach`: whether others can reach this peer, who found that out, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import trio

from p2p import Reach

from ..clock import now_ms
from ..control import Emit
from ..joining import JOIN_SECONDS, lonely
from ..peer import Peer
from ..reaching import describe

PATIENCE = 16.0  # seconds after a peer's start in which others are found and dial back
A_LOOK = 2.0  # seconds for one that has been up for longer


def _may_be_asked(peer: Peer) -> bool:
    """Whether there is, or may soon be, somebody who could dial back."""
    return bool(peer.host.connected()) or (peer.host.is_joining() and _age(peer) < JOIN_SECONDS)


def _age(peer: Peer) -> float:
    """Seconds since its start."""
    return (now_ms() - peer.started_ms) / 1000


async def show_reach(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """What is known now; with `wait`, once it is known, or what there is when there was time for it, and in `alone`
    what to say when nobody was found meanwhile."""
    alone: dict[str, Any] = {}
    if params.get("wait"):
        asked = -1
        with trio.move_on_after(max(A_LOOK, PATIENCE - _age(peer))):
            while (found := peer.host.reachability()).state is Reach.CHECKING and _may_be_asked(peer):
                if asked != (asked := len(found.checkers)):
                    text = f"waiting for others to dial back: {asked} of {found.wanted} have answered"
                    emit({"event": "reaching", "text": text, "asked": asked})
                await peer.reach_changed.wait(1.0)
        if not peer.host.connected():
            error = lonely(peer)
            alone = {"alone": {"message": error.message, "next_step": error.next_step}}
    met = peer.host.rendezvous()
    config, place = peer.local.config, peer.listening
    return (
        describe(peer.host.reachability(), place.addresses, relays="relay" in config.roles)
        | alone
        | {
            "listen": list(place.addresses),
            "listen_why": place.why,
            "rendezvous": None if met is None else asdict(met),
            "rendezvous_wanted": bool(config.rendezvous),
        }
    )
