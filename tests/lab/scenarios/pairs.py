"""Peers behind routers of every kind ask each other: over a relay where they must, directly where they can."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from statistics import median

from ..crew import Crew, crew, introduce, reserved
from ..lean import EVERYWHERE, Lean, Trouble
from ..needs import lacks_mapping
from ..routers import MAPPING, PORT, Kind
from ..table import Row
from ..world import Machine, World

DIRECT = 10.0  # seconds
_OPEN = (Kind.FORWARDED, Kind.MAPPING)  # others dial them
_PUNCHABLE = (*_OPEN, Kind.EASY, Kind.NO_UDP)
_BLOB = 1 << 20
_QUICK = (Kind.EASY, Kind.SYMMETRIC, Kind.MAPPING)  # those that differ most


def every(quick: bool) -> Iterator[Row]:
    """Each pair of routers: served at once, and directly within ten seconds where both map one port."""
    with World() as world, crew(world) as peers:
        machines = world.add_public(3)
        lacks = {Kind.SHARED, *(MAPPING if lacks_mapping() else ())}  # the former is a carrier's as any
        kinds = [Kind.EASY, *(kind for kind in (_QUICK if quick else Kind) if kind not in lacks)]
        routers = [world.add_router(kind) for kind in kinds]
        world.start()
        peers.add_relays(machines)
        there = [peers.add(r.machines[0], port_mapping=r.kind is Kind.MAPPING, holds=_BLOB) for r in routers]
        peers.wait()
        for peer in there:
            _settled(peer)
        for first, second in combinations(range(len(kinds)), 2):
            if first == 1:
                continue  # of the first one's kind, and there to be its partner
            yield _pair(there[first], there[second], kinds[first], kinds[second])


def _settled(peer: Lean) -> None:
    """It is public or mapped, or has a place at a relay."""
    for _ in range(600):
        if peer.status()["reach"]["state"] in ("public", "mapped"):
            return
        if peer.status()["reach"]["relays"]:
            return
        time.sleep(0.1)
    raise Trouble(f"the peer on {peer.machine.name} does not know how it is reached: {peer.status()['reach']}")


def _pair(a: Lean, b: Lean, one: Kind, other: Kind) -> Row:
    what = f"{one.value} asks {other.value}"
    could = _could_be_direct(one, other)
    try:
        introduce(a, b)
        took = float(a.ask("echo", peer=b.peer_id)["took"][0])
        got = a.ask("fetch", peers=[b.peer_id], size=_BLOB)
        through = direct(a, b, DIRECT if could else 1.0)
    except Trouble as error:
        return Row(what, f"not served: {error}", "served", False)
    way = f"direct after {through:.1f} s" if through is not None else "relayed"
    held = bool(got["right"]) and (through is not None or not could)
    aim = f"served, direct within {DIRECT:.0f} s" if could else "served"
    return Row(what, f"served after {took:.1f} s, {way}", aim, held)


def _could_be_direct(one: Kind, other: Kind) -> bool:
    """Whether one of the two lets others in, or both map one port and leave strangers without an answer."""
    return one in _OPEN or other in _OPEN or (one in _PUNCHABLE and other in _PUNCHABLE)


def direct(a: Lean, b: Lean, within: float) -> float | None:
    """Seconds until the way between them is direct, as either of them sees it; None when it is not in time."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        if "direct" in (a.way_to(b), b.way_to(a)):
            return time.monotonic() - began
        time.sleep(0.1)
    return None


def lan(quick: bool) -> Iterator[Row]:
    """Two peers in one LAN find each other without being told, and nobody else is up."""
    yield _lan("a LAN pair meets by mDNS alone", quick, EVERYWHERE)
    yield _lan("… in a LAN with IPv6 alone", quick, (f"/ip6/::/tcp/{PORT}",))


def _lan(what: str, quick: bool, listen: Sequence[str]) -> Row:
    with World() as world, crew(world) as peers:
        router = world.add_router(Kind.EASY, machines=2, v6=True)
        world.start()
        if listen is not EVERYWHERE:
            for machine in router.machines:
                machine.network.ip("-4 addr flush scope global")
        times = []
        for _ in range(1 if quick else 3):
            one, other = (peers.add(machine, mdns=True, listen=listen) for machine in router.machines)
            for peer in (one, other):
                peer.wait()
            times.append(direct(one, other, 15.0))
            for peer in (one, other):
                peer.kill()
        shown = ", ".join("never" if t is None else f"{t:.1f}" for t in times)
        return Row(what, f"{shown} s", "5 s", all(t is not None and t <= 5 for t in times))


def punched(quick: bool) -> Iterator[Row]:
    """Two strangers behind endpoint-independent routers, five times: a direct connection within ten seconds."""
    times = 2 if quick else 5
    with World() as world, crew(world) as peers:
        machines = world.add_public(3)
        routers = [world.add_router(Kind.EASY) for _ in range(2)]
        world.start()
        peers.add_relays(machines)
        peers.wait()
        found = [_strangers(peers, [router.machines[0] for router in routers]) for _ in range(times)]
    through = [took for took in found if took is not None]
    figure = f"{len(through)} of {times}" + (f", after {median(through):.1f} s (median)" if through else "")
    aim = f"{times} of {times} within {DIRECT:.0f} s"
    yield Row("endpoint-independent pairs that become direct", figure, aim, len(through) == times)


def _strangers(peers: Crew, machines: Sequence[Machine]) -> float | None:
    a, b = (peers.add(machine) for machine in machines)
    try:
        for peer in (a, b):
            peer.wait()
            reserved(peer)
        introduce(a, b)
        a.ask("echo", peer=b.peer_id)
        return direct(a, b, DIRECT)
    finally:
        a.kill()
        b.kill()
