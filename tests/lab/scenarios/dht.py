"""Half of forty DHT peers are killed: what the others hold is found."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..crew import crew
from ..lean import Lean, Trouble
from ..table import Row
from ..world import World

_PEERS = 40
_SECONDS = 5.0
_SHARE = 0.95


def run(quick: bool) -> Iterator[Row]:
    """Half of forty DHT peers are killed at once; keys of the living are asked for."""
    count = 10 if quick else _PEERS
    with World(delay=0.02) as world, crew(world) as peers:
        machines = world.add_public(count + 1)
        world.start()
        first = peers.add(machines[0]).wait()
        for machine in machines[1:count]:
            # A few at a time: they start on two cores, and nothing here is about that.
            peers.add(machine, bootstraps=[first.address])
            if len(peers.all) % 4 == 0:
                peers.wait()
        peers.wait()
        for peer in peers.all:
            _provided(peer)
        dead, alive = peers.all[1::2], peers.all[0::2]
        for peer in dead:
            peer.kill()
        newcomer = peers.add(machines[count], bootstraps=[first.address]).wait()
        while not newcomer.status()["peers"]:
            time.sleep(0.1)
        times, lost = [], 0
        for i, peer in enumerate(alive):
            asker = newcomer if i % 2 else alive[i - 1]
            took = _found(asker, peer)
            lost += took is None
            times += [took] if took is not None else []
        share = len(times) / len(alive)
        figure = f"{len(times)} of {len(alive)} keys, the slowest {max(times, default=0):.1f} s"
        aim = f"{100 * _SHARE:.0f}% within {_SECONDS:.0f} s"
        yield Row(f"{count // 2} of {count} DHT peers killed: keys of the living found", figure, aim, share >= _SHARE)


def _provided(peer: Lean) -> None:
    for _ in range(40):
        if peer.ask("provide", key=peer.peer_id)["told"]:
            return
        time.sleep(0.25)
    raise Trouble(f"nobody took what the peer on {peer.machine.name} provides")


def _found(asker: Lean, holder: Lean) -> float | None:
    """Seconds until its holder was found; None when it was not in time."""
    began = time.monotonic()
    while time.monotonic() - began < _SECONDS:
        try:
            if holder.peer_id in asker.ask("find", key=holder.peer_id, within=_SECONDS)["peers"]:
                return time.monotonic() - began
        except Trouble:
            pass
    return None
