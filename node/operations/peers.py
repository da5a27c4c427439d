"""`peers`: who is connected and how, who is known to be about, and who is refused for what it did."""

from __future__ import annotations

from typing import Any

from p2p import PeerStatus
from storage.audits import AuditRecord
from wire.errors import RecordError
from wire.keys import address_of, peer_id_of, public_of
from wire.presence import Presence

from ..auditing.record import describe
from ..clock import now_ms
from ..control import Emit
from ..errors import CommandError, Exit
from ..joining import wait_for_peers
from ..peer import Peer
from ..releases import RELEASE, newer_releases


async def list_peers(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Connected peers first, then those known from their presence alone. RemoteError when nobody can be reached."""
    await wait_for_peers(peer, emit)
    presences = {peer_id_of(p.peer): p for p in peer.board.presences(now_ms())}
    connected = {status.peer_id: status for status in peer.host.connected()}
    known = [*connected, *(p for p in presences if p not in connected and p != peer.host.peer_id)]
    rows = [_row(peer, p, connected.get(p), presences.get(p)) for p in known]
    newer = newer_releases(RELEASE, [presence.release for presence in presences.values()])
    return {"peer_id": peer.host.peer_id, "network": peer.network.name, "peers": rows, "newer": newer}


def _row(peer: Peer, peer_id: str, status: PeerStatus | None, presence: Presence | None) -> dict[str, Any]:
    addresses = presence.addresses if presence else ()
    return {
        "peer_id": peer_id,
        "connected": status is not None,
        "way": "" if status is None else "relayed" if status.relayed else "direct",
        "via": status.via if status else "",  # the relay
        "outgoing": status.outgoing if status else None,
        "rtt_ms": round(status.rtt * 1000, 1) if status and status.rtt else None,
        "score": round(status.score, 2) if status else None,
        "since_ms": status.since_ms if status else None,
        "address": status.address if status else next(iter(addresses), ""),
        "roles": _roles(presence, status),
        "release": presence.release if presence else "",
        "record": _record(peer, peer_id),
    }


def _roles(presence: Presence | None, status: PeerStatus | None) -> list[str]:
    roles: list[str] = list(presence.roles) if presence else []
    return [*roles, "relay"] if status is not None and status.relays else roles


def _record(peer: Peer, peer_id: str) -> dict[str, Any]:
    """What verifiers said of its answers, with any model."""
    try:
        return describe(peer.local.store.audits.record(address_of(public_of(peer_id))))
    except RecordError:  # a peer with a key of another kind answers nothing
        return describe(AuditRecord(0, 0, 0, 0, 0))


async def show_standing(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Who did wrong or is refused, the worst first. Of others, too, something is remembered, which is no reproach."""
    rows = [
        {
            "peer_id": one.peer_id,
            "score": round(one.score, 2),
            "refused_s": round(one.refused_s),
            "rule": one.rule,
            "times": one.times,
        }
        for one in peer.host.standing()
        if one.rule or one.refused_s > 0 or one.score < 0
    ]
    return {
        "peers": sorted(rows, key=lambda row: (-row["refused_s"], row["score"])),
        "rules": peer.host.refusals() | peer.host.gossip_rules(),
    }


async def ban_peer(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Refuse a peer for a time, and end its connections."""
    peer.host.ban(_peer_id(params), params["seconds"])
    return {"peer_id": params["peer"], "seconds": params["seconds"]}


async def forgive_peer(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Forget what a peer did. CommandError when nothing is held against it."""
    if not peer.host.forgive(_peer_id(params)):
        raise CommandError(
            Exit.USAGE, f"nothing is held against {params['peer']}", "See who is: hallmark peers refused"
        )
    return {"peer_id": params["peer"]}


def _peer_id(params: dict[str, Any]) -> str:
    try:
        public_of(params["peer"])
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "A peer id stands in `hallmark peers`.") from error
    return str(params["peer"])
