"""`peers`: who is connected, and who is known to be about."""

from __future__ import annotations

from typing import Any

from storage.audits import AuditRecord
from wire.errors import RecordError
from wire.keys import address_of, peer_id_of, public_of

from ..auditing.record import describe
from ..clock import now_ms
from ..control import Emit
from ..joining import wait_for_peers
from ..peer import Peer


async def list_peers(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Connected peers first, then those known from their presence alone. RemoteError when nobody can be reached."""
    await wait_for_peers(peer, emit)
    presences = {peer_id_of(p.peer): p for p in peer.board.presences(now_ms())}
    connected = {status.peer_id: status for status in peer.host.connected()}
    rows = []
    for peer_id in [*connected, *(p for p in presences if p not in connected and p != peer.host.peer_id)]:
        presence = presences.get(peer_id)
        status = connected.get(peer_id)
        addresses = presence.addresses if presence else ()
        rows.append(
            {
                "peer_id": peer_id,
                "connected": status is not None,
                "address": status.address if status else next(iter(addresses), ""),
                "roles": list(presence.roles) if presence else [],
                "release": presence.release if presence else "",
                "record": _record(peer, peer_id),
            }
        )
    return {"peer_id": peer.host.peer_id, "network": peer.network.name, "peers": rows}


def _record(peer: Peer, peer_id: str) -> dict[str, Any]:
    """What verifiers said of its answers, with any model."""
    try:
        return describe(peer.local.store.audits.record(address_of(public_of(peer_id))))
    except RecordError:  # a peer with a key of another kind answers nothing
        return describe(AuditRecord(0, 0, 0, 0, 0))
