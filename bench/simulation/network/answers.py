"""Answers: a peer picks an offer that it has heard, reaches the provider, and a committee of the network's peers sits.

The round is `committees.Trial` on this world's clock, and its messages take this world's roads: whoever is down,
parted, or cannot be reached is dead to it, and what adversaries hold of the places, they use against the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random

from ..committees.adversaries import SILENT
from ..committees.trial import Roads, Trial
from ..committees.words import DOUBLE
from ..committees.world import Site
from ..committees.world import World as Registry
from .honest import Honest
from .links import HANDSHAKE_TRIPS, Connection
from .peers import Peer
from .world import World

MEMBERS = 16  # of a committee, as a network file has by default
TRIES, GONE = 4, 16  # `node.bounds`: providers asked for one answer; those of them that turn out to be gone


@dataclass(slots=True)
class Asked:
    """One question and what became of it. Times in µs."""

    client: Peer
    at_us: int
    result: str = "open"
    took_us: int = 0
    refused: int = 0  # providers that did not answer,
    gone: int = 0  # and that were not reached, or are refused here


class Answers:
    """All that is asked in one world."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._registry = Registry(seed, peers=len(world.peers) + 2)
        self._adversary = frozenset(peer.index for peer in world.peers if not peer.honest)
        self._random = Random(f"answers {world.seed}")
        self.asked: list[Asked] = []

    def ask(self, client: Honest) -> None:
        """The client wants an answer now."""
        asked = Asked(client, self._world.clock.us)
        self.asked.append(asked)
        offers = client.board.current(self._world.clock.us)
        self._try(asked, client, self._random.sample(offers, min(len(offers), TRIES + GONE)))

    def _try(self, asked: Asked, client: Honest, providers: list[str]) -> None:
        if not providers or asked.refused >= TRIES or asked.gone >= GONE:
            self._over(asked, "nobody to ask" if asked.result == "open" else asked.result)
            return
        provider = self._world.named[providers[0]]
        client.call(provider, partial(self._reached, asked, client, providers))

    def _reached(self, asked: Asked, client: Honest, providers: list[str], connection: Connection | None) -> None:
        provider = self._world.named[providers[0]]
        if connection is None or not provider.honest:
            asked.result = "unreachable" if connection is None else "refused"
            asked.gone += connection is None
            asked.refused += connection is not None
            self._try(asked, client, providers[1:])
            return
        request = self._registry.request(MEMBERS, len(self.asked))
        trial = Trial(
            self._registry,
            SILENT,
            request,
            self._adversary,
            DOUBLE,
            Random(f"answer {self._world.seed} {len(self.asked)}"),
            clock=self._world.clock,
            roads=_Roads(self._world),
            ends=(client.index, provider.index),
            done=lambda: self._done(asked, trial),
        )
        trial.begin()

    def _done(self, asked: Asked, trial: Trial) -> None:
        assert trial.outcome is not None
        self._over(asked, trial.outcome.result)

    def _over(self, asked: Asked, result: str) -> None:
        asked.result, asked.took_us = result, self._world.clock.us - asked.at_us
        self._world.say(f"answer {asked.client.index} {result}")


class _Roads(Roads):
    """Between any two peers of the world; who is not connected dials first."""

    def __init__(self, world: World) -> None:
        self._world = world

    def travel_us(self, a: int, b: int) -> float | None:
        one, other = self._world.peers[a], self._world.peers[b]
        if not (one.up and other.up) or self._world.links.parted(one, other):
            return None
        stands = one.connections.get(other.name)
        if stands is not None:
            return stands.one_way_us
        if not self._world.reachable(one, other):
            return None
        return self._world.links.one_way_us(one, other) * (1 + 2 * HANDSHAKE_TRIPS)

    def is_dead(self, site: Site) -> bool:
        return not self._world.peers[site.index].up
