"""What lies between two peers: distance, jitter, what TCP does about a loss, an upload that is not endless, partitions.

A connection is TCP: nothing is lost on it or overtakes, but all waits for what is sent again. Where a partition cuts
it, both ends wait; who waits for longer than `PATIENCE_US` gives it up, as the ping of yamux does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from ..clock import Clock

if TYPE_CHECKING:
    from .peers import Peer

RESEND_US = 200_000  # after which TCP sends again what was lost; twice as long each time
PATIENCE_US = 40_000_000  # until a silent connection is given up: a ping each 30 s, and its answer 10 s late
HANDSHAKE_TRIPS = 3  # round trips until a connection stands: TCP, noise, yamux with identify


@dataclass(frozen=True)
class Road:
    """What links are like. Times in µs one way; `spread` is the σ of a pair's own factor, `jitter` a share."""

    one_way_us: float = 25_000
    spread: float = 0.0
    jitter: float = 0.02
    loss: float = 0.0  # of a message's segments
    upload: float = 12.5  # bytes in a µs: 100 Mbit/s


@dataclass(slots=True, eq=False)
class Connection:
    """One of two peers. `via`: the relay that it goes over, which costs both ways."""

    dialler: Peer
    listener: Peer
    one_way_us: float
    since_us: int
    via: Peer | None = None
    open: bool = True
    arrived: list[int] = field(default_factory=lambda: [0, 0])  # when the last message arrived, each way
    held: list[tuple[Peer, int, Callable[..., object], tuple[Any, ...]]] = field(default_factory=list)

    def other(self, peer: Peer) -> Peer:
        """Who is at the other end."""
        return self.listener if peer is self.dialler else self.dialler


class Links:
    """All links of one world."""

    def __init__(self, clock: Clock, seed: str, road: Road) -> None:
        self._clock, self._seed, self._road = clock, seed, road
        self._random = Random(f"links {seed}").random
        self._sides: dict[str, int] = {}
        self.messages = 0  # carried
        self.bytes = 0

    def one_way_us(self, a: Peer, b: Peer) -> float:
        """The distance of a pair, always the same."""
        road = self._road
        if not road.spread:
            return road.one_way_us
        low, high = sorted((a.name, b.name))
        return road.one_way_us * Random(f"pair {self._seed} {low} {high}").lognormvariate(0, road.spread)

    def part(self, sides: dict[str, int]) -> None:
        """From now on peers of different sides hear nothing of each other; an empty dict heals it."""
        self._sides = sides

    def parted(self, a: Peer, b: Peer) -> bool:
        """Whether a partition lies between them."""
        return bool(self._sides) and self._sides.get(a.name, 0) != self._sides.get(b.name, 0)

    def carry(self, connection: Connection, sender: Peer, size: int, act: Callable[..., object], *args: Any) -> None:
        """Bring `size` bytes to the other end, where `act(*args)` then happens if the connection still stands."""
        self.messages += 1
        self.bytes += size
        other = connection.other(sender)
        if self._sides and self.parted(sender, other):
            connection.held.append((sender, size, act, args))
            return
        now, road = self._clock.us, self._road
        sender.sends_at = max(sender.sends_at, now) + size / road.upload
        took, wait = connection.one_way_us * (1 + road.jitter * self._random()), RESEND_US
        while road.loss and self._random() < road.loss:
            took, wait = took + wait, 2 * wait
        way = 0 if sender is connection.dialler else 1
        arrives = connection.arrived[way] = max(connection.arrived[way], int(sender.sends_at + took))
        self._clock.at(arrives, self._arrive, connection, other, act, args)

    def release(self, connection: Connection) -> None:
        """The partition is over: what waited goes on its way."""
        held, connection.held = connection.held, []
        for sender, size, act, args in held:
            self.carry(connection, sender, size, act, *args)

    def _arrive(
        self, connection: Connection, receiver: Peer, act: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        if connection.open and receiver.up:
            act(*args)
