"""Lean peers in a world, ended with it: what most scenarios begin with."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from .lean import Lean, wait_for
from .world import Machine, World

RESERVED = 60.0  # seconds that a peer behind a router has to find out where it is and to be reachable over relays


class Crew:
    """The peers of a scenario."""

    def __init__(self, world: World, ending: ExitStack) -> None:
        self.world, self._ending = world, ending
        self.relays: list[Lean] = []
        self.all: list[Lean] = []

    def add(self, machine: Machine, **settings: Any) -> Lean:
        """A peer on the machine, launched; it knows the relays as peers to start from."""
        peer = Lean(machine, self.world.folder, **{"bootstraps": [r.address for r in self.relays]} | settings)
        self._ending.callback(peer.kill)
        self.all.append(peer)
        return peer.launch()

    def add_relays(self, machines: Sequence[Machine], **settings: Any) -> list[Lean]:
        """Public peers that relay, each of which knows those before it."""
        for machine in machines:
            self.relays.append(self.add(machine, relay=True, **settings))
        return self.relays

    def wait(self) -> None:
        """Return once all run."""
        for peer in self.all:
            peer.wait()


@contextmanager
def crew(world: World) -> Iterator[Crew]:
    """Peers for a world that is about to start."""
    with ExitStack() as ending:
        peers = Crew(world, ending)
        try:
            yield peers
        except Exception:
            for peer in peers.all:
                if words := peer.words():
                    sys.stderr.write(f"--- the peer on {peer.machine.name} has logged, last:\n{words}\n")
            raise


def reserved(peer: Lean, seconds: float = RESERVED) -> float:
    """Seconds until a relay holds a place for the peer."""
    _, took = wait_for(lambda: circuits(peer), f"a reservation for the peer on {peer.machine.name}", seconds)
    return took


def circuits(peer: Lean) -> list[str]:
    """The addresses at which relays hold a place for the peer."""
    return list(peer.status()["reach"]["relays"])


def introduce(asker: Lean, other: Lean) -> None:
    """Tell a peer where the other is, as its offer would."""
    asker.ask("learn", peer=other.peer_id, addresses=other.status()["addresses"])
