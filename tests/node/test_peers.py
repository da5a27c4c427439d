"""`hallmark peers refused`: who is reproached with something, and who is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from node.operations.peers import show_standing
from node.peer import Peer
from p2p.standing.score import Standing

HOUR = 3600.0


async def listed(standing: Standing, now: float) -> list[dict[str, Any]]:
    host = SimpleNamespace(
        standing=lambda: standing.listed(now),
        refusals=lambda: dict(standing.counts),
        gossip_rules=lambda: {"accepted": 3},
    )
    peer = cast(Peer, SimpleNamespace(host=host))
    assert (await show_standing(peer, {}, lambda _: None))["rules"] == dict(standing.counts) | {"accepted": 3}
    found: list[dict[str, Any]] = (await show_standing(peer, {}, lambda _: None))["peers"]
    return found


async def test_who_did_well_is_not_among_those_who_misbehaved_and_the_refused_come_first() -> None:
    standing = Standing()
    standing.credit("helper", 0.0, 5.0)
    standing.offend("clumsy", 0.0, rule="a bad frame")
    standing.refuse("banned", 0.0, rule="banned by the operator", seconds=HOUR)
    told = await listed(standing, 1.0)
    assert [(row["peer_id"], row["rule"], row["refused_s"] > 0) for row in told] == [
        ("banned", "banned by the operator", True),
        ("clumsy", "a bad frame", False),
    ]
