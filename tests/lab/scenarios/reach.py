"""Each peer finds out how it can be reached, whoever lies to it, and that a port was closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from p2p import bounds

from ..crew import circuits, crew
from ..lean import Lean, Trouble, wait_for
from ..needs import lacks_mapping
from ..routers import MAPPING, Kind
from ..table import Row
from ..world import Router, World
from .skipped import Skipped

_SECONDS = 60.0
_LIED_TO = 60.0  # seconds until everybody has asked both liars
_STATES = {Kind.FORWARDED: "public", Kind.MAPPING: "mapped"}  # all others: private
_QUICK = (Kind.EASY, Kind.FORWARDED, *MAPPING)  # those that differ most
_UNMAPPED = 2.0  # seconds after a peer's end


def run(quick: bool) -> Iterator[Row]:
    """Behind each kind of router a peer is public, mapped or private, and says so; two more checkers lie to all."""
    with World() as world, crew(world) as peers:
        *honest, yes_machine, no_machine, open_machine = world.add_public(7)
        kinds = [kind for kind in (_QUICK if quick else Kind) if kind not in MAPPING or not lacks_mapping()]
        routers = [world.add_router(kind) for kind in kinds]
        world.start()
        peers.add_relays(honest)
        liars = [peers.add(yes_machine, lies="reached"), peers.add(no_machine, lies="failed")]
        peers.relays += liars
        peers.wait()
        asked = [("no router", "public", peers.add(open_machine))]
        for router in routers:
            peer = peers.add(router.machines[0], port_mapping=router.kind in MAPPING)
            asked.append((router.kind.value, _STATES.get(router.kind, "private"), peer))
        peers.wait()
        times = _decided({peer: wanted for _, wanted, peer in asked})
        turned = _until_lied_to({peer: wanted for _, wanted, peer in asked}, {liar.peer_id for liar in liars})
        for name, wanted, peer in asked:
            yield _stands(name, wanted, peer, times.get(peer), turned[peer])
        yield _told([peer for _, wanted, peer in asked if wanted == "private"])
        for router, (_, _, peer) in zip(routers, asked[1:], strict=True):
            if router.kind is Kind.SHARED:
                yield _explained(peer)
            if router.kind is Kind.MAPPING:
                yield _mapped_again(router, peer)
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


def _until_lied_to(wanted: dict[Lean, str], liars: set[str]) -> dict[Lean, str]:
    """Have each peer ask until both liars were among those asked. What became of it: empty when that turned nobody."""
    found = {peer: "not both liars were asked" for peer in wanted}
    deadline = time.monotonic() + _LIED_TO
    while any(found.values()) and time.monotonic() < deadline:
        for peer, state in wanted.items():
            reach = peer.status()["reach"]
            if reach["state"] != state:
                found[peer] = f"turned to {reach['state']} by a liar"
            elif found[peer].startswith("not"):
                if liars <= {checker["peer_id"] for checker in reach["checkers"]}:
                    found[peer] = ""
                else:
                    peer.ask("check")
        time.sleep(1)
    return found


def _stands(name: str, wanted: str, peer: Lean, took: float | None, turned: str) -> Row:
    reach = peer.status()["reach"]
    reached = sum(c["reached"] for c in reach["checkers"])
    figure = f"{reach['state']}, {'never' if took is None else f'{took:.0f} s'}; "
    figure += f"{reached} of {len(reach['checkers'])} reach it, {turned or 'both liars asked'}"
    figure += f"; {reach['mapping']}" if reach["mapping"] else ""
    held = took is not None and reach["state"] == wanted and not turned
    figure += "" if held else f"; {reach['reason']}"
    return Row(f"reachability behind {name}, two of six lying", figure, f"{wanted}, {_SECONDS:.0f} s", held)


def _explained(peer: Lean) -> Row:
    """A router that would let others in, and cannot: the reason is told."""
    reason = peer.status()["reach"]["reason"]
    return Row(
        "private behind UPnP behind a carrier's: the reason given",
        reason,
        "the carrier's NAT",
        "carrier's NAT" in reason,
    )


def _told(private: list[Lean]) -> Row:
    """What peers that nobody can dial say of themselves, to everybody."""
    told = [address for peer in private for address in peer.status()["addresses"]]
    bad = [address for address in told if "/p2p-circuit" not in address]
    figure = f"{len(told)} circuits" if not bad else f"told: {', '.join(bad)}"
    return Row("addresses that private peers tell everybody", figure, "circuits alone", not bad)


def _mapped_again(router: Router, peer: Lean) -> Row:
    """A router that forgot what it mapped, as after a restart."""
    what = "a router forgets what it mapped on request"
    router.flush_mapped()
    peer.ask("check")
    try:
        _, took = wait_for(lambda: _rules(router), "a mapping", _SECONDS)
    except Trouble as error:
        return Row(what, str(error), f"{_SECONDS:.0f} s", False)
    state = peer.status()["reach"]["state"]
    return Row(what, f"mapped again {took:.1f} s after a look, {state}", f"{_SECONDS:.0f} s, mapped", state == "mapped")


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


def closed(quick: bool) -> Iterator[Row]:
    """A port that was forwarded is closed: who relied on it notices by itself, and goes over relays."""
    every = 40.0 if quick else 0.0
    bound = (every or bounds.CHECK_EVERY) + 60.0
    with World() as world, crew(world) as peers:
        machines = world.add_public(3)
        router = world.add_router(Kind.FORWARDED)
        world.start()
        peers.add_relays(machines)
        peers.wait()
        peer = peers.add(router.machines[0], check_every=every).wait()
        wait_for(lambda: peer.status()["reach"]["state"] == "public", "a peer that is public", _SECONDS)
        router.close()
        what = "a forwarded port is closed: private, and over relays"
        aim = f"{bound:.0f} s"
        try:
            _, took = wait_for(lambda: peer.status()["reach"]["state"] == "private", "a peer that is private", bound)
            _, more = wait_for(lambda: circuits(peer), "a place at a relay", 60)
        except Trouble as error:
            yield Row(what, str(error), aim, False)
            return
        yield Row(what, f"after {took:.0f} s, over relays {more:.1f} s later", aim, took + more <= bound)


def forgets(_: bool) -> Iterator[Row]:
    """A router forgets what it mapped on request: its peer has it mapped again, though nobody says a word."""
    if lacks := lacks_mapping():
        raise Skipped(f"this machine lacks {lacks[0]}")
    bound = bounds.MAPPING_AGAIN + 30.0
    with World() as world, crew(world) as peers:
        machines = world.add_public(3)
        router = world.add_router(Kind.MAPPING)
        world.start()
        peers.add_relays(machines)
        peers.wait()
        peer = peers.add(router.machines[0], port_mapping=True).wait()
        wait_for(lambda: peer.status()["reach"]["state"] == "mapped", "a peer that is mapped", _SECONDS)
        yield _forgotten("its table is flushed", router, peer, router.flush_mapped, bound)
        yield _forgotten("it is switched off and on", router, peer, lambda: world.restart_mapping(router), bound)


def _forgotten(how: str, router: Router, peer: Lean, forget: Callable[[], None], bound: float) -> Row:
    what, aim = f"a router forgets what it mapped: {how}", f"mapped again within {bound:.0f} s"
    forget()
    if _rules(router):
        return Row(what, "it forgot nothing", aim, False)
    try:
        _, took = wait_for(lambda: _rules(router), "a mapping", bound)
        wait_for(lambda: peer.status()["reach"]["state"] == "mapped", "a peer that is mapped", _SECONDS)
    except Trouble as error:
        return Row(what, str(error), aim, False)
    return Row(what, f"mapped again after {took:.0f} s, by itself", aim, took <= bound)
