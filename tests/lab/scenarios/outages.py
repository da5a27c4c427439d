"""Relays that die: one in the middle of a transfer, and all of them for minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..crew import circuits, crew, introduce, reserved
from ..lean import Lean, Trouble, wait_for
from ..routers import Kind
from ..table import Row
from ..world import World

_SIZE = 50 << 20
_RATE = 3e6  # bytes a second of each private peer's link, so that 50 MB have a middle
_OUTAGE = 300.0  # seconds


def one(quick: bool) -> Iterator[Row]:  # noqa: ARG001 — there is no shorter middle
    """The relay in use is killed in the middle of 50 MB."""
    with World() as world, crew(world) as peers:
        machines = world.add_public(3)
        routers = [world.add_router(Kind.SYMMETRIC) for _ in range(2)]
        world.start()
        peers.add_relays(machines)
        holder = peers.add(routers[0].machines[0], holds=_SIZE)
        taker = peers.add(routers[1].machines[0])
        peers.wait()
        wait_for(lambda: min(len(circuits(peer)) for peer in (holder, taker)) >= 2, "places at two relays", 60)
        world.change(*routers, rate=_RATE)
        introduce(taker, holder)
        fetched = taker.begin("fetch", peers=[holder.peer_id], size=_SIZE)
        wait_for(lambda: taker.status()["had"] > _SIZE // 3, "a third of 50 MB", 60)
        used = taker.status()["peers"][holder.peer_id]["via"]
        relay = next(r for r in peers.relays if r.peer_id == used)
        before = _cpu(holder, taker)
        killed, had = time.monotonic(), taker.status()["had"]
        relay.kill()
        # What was under way still arrives: back at work means some more than that.
        wait_for(lambda: taker.status()["had"] > had + (4 << 20), "more of the blob", 60)
        back, spent = time.monotonic() - killed, _cpu(holder, taker) - before
        now = taker.status()["peers"].get(holder.peer_id, {}).get("via", "")
        result = fetched(120)
        moved = bool(now) and now != used
        figure = f"{result['pause']:.1f} s, and 4 MiB more after {back:.1f} s, over {'another' if moved else 'none'}"
        held = moved and result["pause"] <= 15
        yield Row("a relay dies in the middle of 50 MB: the longest pause", figure, "15 s, over another", held)
        yield Row("… the hash of what came", "right" if result["right"] else "wrong", "right", bool(result["right"]))
        yield Row("… processor time of both peers until then", f"{spent:.1f} s", "2 s", spent <= 2)


def all_of_them(quick: bool) -> Iterator[Row]:
    """All relays are gone for five minutes, and come back."""
    outage = 30.0 if quick else _OUTAGE
    with World() as world, crew(world) as peers:
        machines = world.add_public(3)
        routers = [world.add_router(Kind.SYMMETRIC) for _ in range(2)]
        world.start()
        for machine in machines:
            folder = world.folder / machine.name.replace(" ", "-")
            folder.mkdir()
            peers.relays.append(peers.add(machine, relay=True, folder=str(folder)))
        a, b = (peers.add(router.machines[0]) for router in routers)
        peers.wait()
        for peer in (a, b):
            reserved(peer)
        introduce(a, b)
        a.ask("echo", peer=b.peer_id)
        for relay in peers.relays:
            relay.kill()
        before = _cpu(a, b)
        time.sleep(outage)
        spent = _cpu(a, b) - before
        for relay in peers.relays:
            relay.launch()
        for relay in peers.relays:
            relay.wait()
        back = [reserved(peer, 120) for peer in (a, b)]
        introduce(a, b)
        _, asked = wait_for(lambda: _answers(a, b), "an answer over a relay", 60)
        total = sum(back) + asked
        name = f"all relays down for {outage:.0f} s"
        yield Row(
            f"{name}: reserved again", f"{max(back):.1f} s, an answer after {total:.1f} s", "60 s", max(back) <= 60
        )
        share = 100 * spent / outage
        yield Row(f"{name}: processor time of two peers meanwhile", f"{spent:.1f} s ({share:.1f}%)", "5%", share <= 5)


def _answers(a: Lean, b: Lean) -> bool:
    try:
        a.ask("echo", peer=b.peer_id, within=20)
    except Trouble:
        return False
    return True


def _cpu(*peers: Lean) -> float:
    return sum(float(peer.status()["cpu"]) for peer in peers)
