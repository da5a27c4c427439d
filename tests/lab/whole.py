"""Whole nodes in a world: `hallmark serve` on a machine, and the commands that people type there."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from node.datadir import DataDir
from node.keyfile import load_key
from node.local import keep_network
from tests.node.processes.running import Ended, Node, hallmark
from wire.network import Network

from .lean import EVERYWHERE
from .world import Machine


def serving(
    machine: Machine, place: DataDir, network: Network, roles: tuple[str, ...], ending: ExitStack, *, ready: bool = True
) -> Node:
    """A node on the machine, which ends with `ending`. Where it need not be `ready`, `wait_ready` waits for that."""
    keep_network(place, network)
    program = ("-m", "node.cli", "serve", "--listen", EVERYWHERE[0], "--data-dir")
    node = Node(place, load_key(place.key), roles, program=program)
    ending.callback(node.kill)
    with machine.network.inside():
        node.launch()
    if ready:
        node.wait_ready()
    return node


def typed(machine: Machine, place: DataDir, *words: str | Path) -> Ended:
    """A command on the machine, to its end."""
    with machine.network.inside():
        return hallmark(*words, directory=place)


def standing(node: Node) -> dict[str, object]:
    """The last thing that a node has said of how it is reached; empty while it has said nothing."""
    said = [event for event in node.events() if event["event"] == "reach"]
    return dict(said[-1]) if said else {}
