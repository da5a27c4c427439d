"""IPv6 alone: nobody translates addresses there, and routers keep strangers out all the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from ..crew import Crew, crew, introduce, reserved
from ..lean import Lean, Trouble, wait_for
from ..needs import lacks_mapping
from ..routers import PORT, Kind
from ..table import Row
from ..world import Machine, Router, World
from .pairs import DIRECT, direct
from .skipped import Skipped

_EVERYWHERE = (f"/ip6/::/tcp/{PORT}",)
_SECONDS = 60.0
_BLOB = 1 << 20


def run(quick: bool) -> Iterator[Row]:
    """Machines without any IPv4: one that nothing hides, and two behind routers that let nobody in unasked."""
    times = 1 if quick else 3
    with World() as world, crew(world) as peers:
        *machines, open_machine = world.add_public(4)
        routers = [world.add_router(Kind.EASY, v6=True) for _ in range(2)]
        world.start()
        behind = [router.machines[0] for router in routers]
        for machine in (*machines, open_machine, *behind):
            machine.network.ip("-4 addr flush scope global")
        for machine in machines:
            peers.relays.append(_peer(peers, machine, relay=True))
        public = _peer(peers, open_machine, holds=_BLOB)
        peers.wait()
        _, took = wait_for(lambda: public.status()["reach"]["confirmed"], "a public peer", _SECONDS)
        reach = public.status()["reach"]
        figure = f"{reach['state']} at {', '.join(reach['confirmed'])}, {took:.0f} s"
        yield Row("IPv6 alone, no router", figure, f"public, {_SECONDS:.0f} s", reach["state"] == "public")
        pairs = [_pair(peers, behind, public) for _ in range(times)]
        states = {state for pair in pairs for state in pair.states}
        yield Row("IPv6 alone, inbound dropped", ", ".join(states), "private", states == {"private"})
        served = max(max(pair.served) for pair in pairs)
        aim = f"right, {DIRECT:.0f} s"
        right = all(pair.right for pair in pairs)
        figure = f"{'right' if right else 'wrong'}, within {served:.1f} s"
        yield Row("… a pair, and each with a public one: served", figure, aim, right and served <= DIRECT)
        through = [pair.direct for pair in pairs if pair.direct is not None]
        figure = f"{len(through)} of {times}" + (f", after {median(through):.1f} s (median)" if through else "")
        yield Row("… the pair direct", figure, f"{times} of {times} within {DIRECT:.0f} s", len(through) == times)


def pierced(_: bool) -> Iterator[Row]:
    """A router's firewall keeps strangers from a machine's IPv6 address, until it is asked not to; and again after."""
    if lacks := lacks_mapping():
        raise Skipped(f"this machine lacks {lacks[0]}")
    with World() as world, crew(world) as peers:
        machines = world.add_public(4)
        router = world.add_router(Kind.MAPPING, v6=True)
        world.start()
        behind = router.machines[0]
        for machine in (*machines, behind):
            machine.network.ip("-4 addr flush scope global")
        for machine in machines:
            peers.relays.append(_peer(peers, machine, relay=True))
        peer = _peer(peers, behind, port_mapping=True)
        peers.wait()
        what, aim = "IPv6 alone, a firewall that PCP opens", f"mapped, {_SECONDS:.0f} s; closed after its end"
        try:
            _, took = wait_for(lambda: peer.status()["reach"]["state"] == "mapped", "a peer that is reached", _SECONDS)
        except Trouble as error:
            yield Row(what, f"{error}; {peer.status()['reach']['reason']}", aim, False)
            return
        reach, opened = peer.status()["reach"], _pinholes(router)
        peer.end()
        left = _pinholes(router)
        figure = f"mapped at {', '.join(reach['confirmed'])} after {took:.0f} s, by {reach['mapping']}"
        yield Row(what, f"{figure}; {'left open' if left else 'closed'} after its end", aim, opened and not left)


def _pinholes(router: Router) -> bool:
    """Whether the router lets anybody through its firewall on request."""
    return "dport" in router.stages[-1].run("nft", "list", "chain", "inet", "filter", "upnp_forward")


@dataclass
class _Pair:
    """What two peers who never met found."""

    states: list[str]
    served: list[float]  # seconds
    direct: float | None  # as above; None when it was not in time
    right: bool  # what they fetched


def _pair(peers: Crew, machines: list[Machine], public: Lean) -> _Pair:
    a, b = (_peer(peers, machine) for machine in machines)
    try:
        for peer in (a, b):
            peer.wait()
            reserved(peer)
        introduce(a, b)
        served, right = [float(a.ask("echo", peer=b.peer_id)["took"][0])], list[bool]()
        through = direct(a, b, DIRECT)
        for peer in (a, b):
            introduce(peer, public)
            got = peer.ask("fetch", peers=[public.peer_id], size=_BLOB)
            right.append(bool(got["right"]))
            served.append(got["took"])
        return _Pair([_decided(peer) for peer in (a, b)], served, through, all(right))
    finally:
        a.kill()
        b.kill()


def _peer(peers: Crew, machine: Machine, **settings: object) -> Lean:
    seeds = [f"/ip6/{relay.machine.v6}/tcp/{PORT}/p2p/{relay.peer_id}" for relay in peers.relays]
    return peers.add(machine, **{"listen": _EVERYWHERE, "bootstraps": seeds} | settings)


def _decided(peer: Lean) -> str:
    """Where it stands once it knows."""

    def state() -> str:
        found = str(peer.status()["reach"]["state"])
        return "" if found == "checking" else found

    return wait_for(state, "an end of checking", _SECONDS)[0]
