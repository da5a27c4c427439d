"""Each peer finds out how it can be reached, and one checker that lies changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..crew import crew
from ..lean import Lean, Trouble, wait_for
from ..needs import lacks_mapping
from ..routers import Kind
from ..table import Row
from ..world import Router, World

_SECONDS = 60.0
_STATES = {Kind.FORWARDED: "public", Kind.MAPPING: "mapped"}  # all others: private
_UNMAPPED = 2.0  # seconds after a peer's end


def run(quick: bool) -> Iterator[Row]:  # noqa: ARG001 — each kind is its own case
    """Behind each kind of router a peer is public, mapped or private, and says so; a fourth checker lies to all."""
    with World() as world, crew(world) as peers:
        *honest, liar_machine, open_machine = world.add_public(5)
        kinds = [kind for kind in Kind if kind is not Kind.MAPPING or not lacks_mapping()]
        routers = [world.add_router(kind) for kind in kinds]
        world.start()
        peers.add_relays(honest)
        peers.relays.append(peers.add(liar_machine, lies=True))
        peers.wait()
        asked = [("no router", "public", peers.add(open_machine))]
        for router in routers:
            mapping = router.kind is Kind.MAPPING
            peer = peers.add(router.machines[0], port_mapping=mapping)
            asked.append((router.kind.value, _STATES.get(router.kind, "private"), peer))
        peers.wait()
        times = _decided({peer: wanted for _, wanted, peer in asked})
        for name, wanted, peer in asked:
            yield _stands(name, wanted, peer, times.get(peer))
        yield _told([peer for _, wanted, peer in asked if wanted == "private"])
        for router, (_, _, peer) in zip(routers, asked[1:], strict=True):
            if router.kind is Kind.MAPPING:
                yield _unmapped(router, peer)


def _decided(wanted: dict[Lean, str]) -> dict[Lean, float]:
    """Seconds until each was what it should be; without those that were not in time."""
    began, times = time.monotonic(), dict[Lean, float]()
    while len(times) < len(wanted) and time.monotonic() - began < _SECONDS:
        for peer in wanted.keys() - times.keys():
            if peer.status()["reach"]["state"] == wanted[peer]:
                times[peer] = time.monotonic() - began
        time.sleep(0.2)
    return times


def _stands(name: str, wanted: str, peer: Lean, took: float | None) -> Row:
    reach = peer.status()["reach"]
    reached = sum(c["reached"] for c in reach["checkers"])
    figure = f"{reach['state']}, {'never' if took is None else f'{took:.0f} s'}; "
    figure += f"{reached} of {len(reach['checkers'])} reach it"
    figure += f"; {reach['mapping']}" if reach["mapping"] else ""
    held = took is not None and reach["state"] == wanted
    figure += "" if held else f"; {reach['reason']}"
    aim = f"{wanted}, {_SECONDS:.0f} s"
    return Row(f"reachability behind {name}, one of four checkers lying", figure, aim, held)


def _told(private: list[Lean]) -> Row:
    """What peers that nobody can dial say of themselves, to everybody."""
    told = [address for peer in private for address in peer.status()["addresses"]]
    bad = [address for address in told if "/p2p-circuit" not in address]
    figure = f"{len(told)} circuits" if not bad else f"told: {', '.join(bad)}"
    return Row("addresses that private peers tell everybody", figure, "circuits alone", not bad)


def _unmapped(router: Router, peer: Lean) -> Row:
    what = "a port that was mapped, after the peer's end"
    if not _rules(router):
        return Row(what, "it was not mapped", "closed", False)
    peer.end()
    try:
        _, took = wait_for(lambda: not _rules(router), "an end of the mapping", 10)
    except Trouble as error:
        return Row(what, str(error), f"{_UNMAPPED:.0f} s", False)
    return Row(what, f"closed {took:.1f} s after it", f"{_UNMAPPED:.0f} s", took <= _UNMAPPED)


def _rules(router: Router) -> bool:
    """Whether the router lets a port in on request."""
    return "dnat" in router.stages[0].run("nft", "list", "chain", "inet", "nat", "upnp_in")
