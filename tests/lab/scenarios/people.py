"""Whole nodes, by the commands that people type: a provider behind a symmetric router, a client behind a carrier's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

from node.keyfile import load_key
from node.networkfile import new_network
from tests.node.processes import made
from tests.node.processes.running import Ended, Node, settle

from ..lean import wait_for
from ..routers import Kind
from ..table import Row
from ..whole import serving, standing, typed
from ..world import Machine, World

_ROW = "[[1.0, 2.0, 3.0, 4.0]]"


def run(quick: bool) -> Iterator[Row]:  # noqa: ARG001 — it is quick
    """`serve`, `doctor`, `peers`, `model pull` and `infer` between two NATs that nobody can be dialled through."""
    with World() as world, ExitStack() as ending:
        machines = world.add_public(3)
        provider_router, client_router = world.add_router(Kind.SYMMETRIC), world.add_router(Kind.CARRIER)
        world.start()
        places = [settle(world.folder / f"relay-{i}") for i in range(3)]
        keys = [load_key(place.key) for place in places]
        whole = [f"{machine.address}/p2p/{key.peer_id}" for machine, key in zip(machines, keys, strict=True)]
        network = new_network("lab", [keys[0].peer_id], bootstraps=whole)
        for machine, place in zip(machines, places, strict=True):
            serving(machine, place, network, ("hub", "relay"), ending)
        provider = serving(
            provider_router.machines[0], settle(world.folder / "provider"), network, ("hub", "provider"), ending
        )
        model = made.save(made.logarithm(), world.folder / "logs.onnx")
        words = ("model", "add", model, "--name", "logs", "--licence", "MIT", "--version", "1.0.0", "--json")
        added = typed(provider_router.machines[0], provider.directory, *words)
        cid = added.json["cid"]
        yield _told(provider)
        doctor = typed(provider_router.machines[0], provider.directory, "doctor", "--json")
        finding = json.loads(doctor.out.splitlines()[0])
        own = provider_router.machines[0].v4
        steps = f"{finding['detail']} {finding['mend']}"
        private = "private" in steps and own in steps
        shown = f"{finding['name']}: {finding['detail']}".splitlines()[0]
        yield Row(
            "hallmark doctor behind a symmetric router",
            shown,
            "private, with this machine's address in its steps",
            private,
        )
        client, where = settle(world.folder / "client", network), client_router.machines[0]
        began = time.monotonic()
        pulled = typed(where, client, "model", "pull", cid, "--json")
        yield _done("hallmark model pull, NAT to NAT", pulled, began)
        began = time.monotonic()
        asked = typed(where, client, "infer", cid, "--input", f"x={_ROW}", "--json")
        yield _done("hallmark infer, NAT to NAT", asked, began)
        other = serving(where, client, network, ("hub",), ending)
        typed(where, client, "infer", cid, "--input", f"x={_ROW}", "--json")
        yield _seen(where, other, provider)


def _told(node: Node) -> Row:
    """The first thing that `serve` says, as it stands a minute later at most."""

    def private() -> str:
        reach = standing(node)
        return str(reach["line"]) if reach["state"] == "private" and reach["relays"] else ""

    first = node.events()[0]["event"]
    line, took = wait_for(private, f"a place at a relay: {node.events()}", 90)
    return Row(
        "hallmark serve behind a symmetric router", f"{line}, after {took:.0f} s", "over relays", first == "reach"
    )


def _done(what: str, ended: Ended, began: float) -> Row:
    took = time.monotonic() - began
    figure = f"{took:.1f} s" if not ended.code else f"exit code {ended.code}: {ended.said[-3000:]}"
    return Row(what, figure, "done", not ended.code)


def _seen(where: Machine, node: Node, provider: Node) -> Row:
    """`hallmark peers` of a node that has asked the provider something over a relay."""

    def way() -> str:
        listed = typed(where, node.directory, "peers", "--json")
        rows = {row["peer_id"]: row for row in listed.json["peers"]} if not listed.code else {}
        row = rows.get(provider.key.peer_id, {})
        return f"{row['way']} via …{row['via'][-6:]}" if row.get("via") else str(row.get("way", ""))

    try:
        shown, _ = wait_for(way, "the provider among the peers", 60)
    except Exception as error:
        return Row("hallmark peers shows the way", str(error), "relayed", False)
    return Row("hallmark peers shows the way", shown, "relayed", shown.startswith("relayed"))
