"""How long messages and executions take, drawn from a trial's own randomness.

The numbers are chosen, not measured: peers lie in a square whose side takes a message 80 ms, each pair has a factor of
its own, and what TCP does about a loss is to wait and send again.
"""

from __future__ import annotations

from random import Random

from .world import Site, World

EXECUTION_US = 50_000  # the median of a model's execution
SLOWER = 10  # times, who is slow
BUSY = 0.2  # the chance that a machine is at work on something else
LOSS = 0.01  # of a message's segments; each is sent again after
RESEND_US = 200_000
BROKEN = 0.002  # streams that end without a word, each time something is sent
REFUSED_US, SILENT_US = 1_000, 15_000_000  # until it shows that a dead peer is dead: at once, or p2p's DIAL_TIMEOUT


def travel_us(world: World, rng: Random, a: int, b: int) -> float | None:
    """How long a message takes from one site to another; None when its stream breaks."""
    if rng.random() < BROKEN:
        return None
    took, wait = world.one_way_us(a, b) * rng.uniform(1, 1.1), RESEND_US
    while rng.random() < LOSS:
        took, wait = took + wait, 2 * wait
    return took


def executes_us(site: Site, ready: bool, rng: Random) -> float:
    """How long a verifier takes; one that stands `ready`, as an adversary's does, is never slow nor busy."""
    if ready:
        return EXECUTION_US * site.speed
    took = EXECUTION_US * site.speed * (SLOWER if site.slow else 1) * rng.lognormvariate(0, 0.1)
    busy = rng.random() < BUSY
    return took + (rng.expovariate(1 / took) if busy else 0)
