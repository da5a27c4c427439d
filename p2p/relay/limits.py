"""What a relay gives to whom: reservations, circuits, bytes and rates, all bounded. A machine without I/O.

Counts are bounded in all, per range of addresses and per peer, so that one operator, however many ids it makes, leaves
room for others. Rates are shaped, not refused: who is over one is read from later, which the stream's window turns
into back pressure. Times are seconds of any clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from .. import bounds
from ..rates import Rates
from .messages import Limit, Status

OURS = Limit(int(bounds.RELAY_TIME), bounds.RELAY_BYTES)
STRANGERS = Limit(int(bounds.RELAY_TIME_STRANGER), bounds.RELAY_BYTES_STRANGER)


class Pace:
    """A rate, as the time until which what has passed is paid for (GCRA, ITU-T I.371)."""

    def __init__(self, rate: float) -> None:
        self._rate, self._paid_until = rate, float("-inf")

    def spend(self, size: int, now: float) -> float:
        """`size` bytes pass; the seconds to wait before more may."""
        self._paid_until = max(self._paid_until, now - bounds.RELAY_BURST) + size / self._rate
        return max(0.0, self._paid_until - now)


@dataclass(slots=True, eq=False)
class Circuit:
    """One circuit that stands, or is being made."""

    source: str
    target: str
    range: str | None
    limit: Limit
    ends: float
    pace: Pace = field(default_factory=lambda: Pace(bounds.RELAY_RATE))
    carried: list[int] = field(default_factory=lambda: [0, 0])  # from the source, from the target


@dataclass(frozen=True, slots=True)
class Relaying:
    """What a relay does now, and has done since it began; the bounds beside the counts."""

    reservations: int
    reservations_most: int
    circuits: int
    circuits_most: int
    bytes: int
    circuits_ever: int
    refused: int


class Limits:
    """The books of one relay."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[float, str | None]] = {}  # reservations: until when, and from which range
        self._circuits: set[Circuit] = set()
        self._requests = Rates(bounds.RELAY_REQUESTS, bounds.RELAY_REQUESTS_BURST)
        self._pace = Pace(bounds.RELAY_RATE_ALL)
        self._metered: OrderedDict[str, int] = OrderedDict()
        self._bytes = self._ever = self._refused = 0

    def hears(self, peer: str, now: float) -> bool:
        """Whether another request of the peer's is listened to now."""
        return self._requests.take(peer, now)

    def reserve(self, peer: str, range_: str | None, now: float) -> Status:
        """Give the peer a reservation for RELAY_LIFE from now, or renew the one it has."""
        self._expire(now)
        others = [range for holder, (_, range) in self._held.items() if holder != peer]
        crowded = range_ is not None and others.count(range_) >= bounds.RELAY_RESERVATIONS_PER_RANGE
        if len(others) >= bounds.RELAY_RESERVATIONS or crowded:
            self._refused += 1
            return Status.RESERVATION_REFUSED
        self._held[peer] = (now + bounds.RELAY_LIFE, range_)
        return Status.OK

    def connect(self, source: str, target: str, range_: str | None, ours: bool, now: float) -> Circuit | Status:
        """A circuit from `source`, whose addresses are of `range_`; `ours`: the target is of our network."""
        self._expire(now)
        if target not in self._held:
            self._refused += 1
            return Status.NO_RESERVATION
        of_peers = Counter(peer for circuit in self._circuits for peer in (circuit.source, circuit.target))
        near = sum(range_ is not None and circuit.range == range_ for circuit in self._circuits)
        if (
            len(self._circuits) >= bounds.RELAY_CIRCUITS
            or near >= bounds.RELAY_CIRCUITS_PER_RANGE
            or of_peers[source] >= bounds.RELAY_CIRCUITS_PER_PEER
            # Whoever is asked for serves many; nobody else may take all of its places.
            or of_peers[target] >= bounds.RELAY_CIRCUITS // 2
        ):
            self._refused += 1
            return Status.RESOURCE_LIMIT_EXCEEDED
        limit = OURS if ours else STRANGERS
        circuit = Circuit(source, target, range_, limit, now + limit.seconds)
        self._circuits.add(circuit)
        return circuit

    def carried(self, circuit: Circuit, way: int, size: int, now: float) -> float | None:
        """`size` bytes came from the source (`way` 0) or the target (1).

        The seconds to wait before reading more from there, or None when they go beyond what the circuit may carry.
        """
        if circuit.carried[way] + size > circuit.limit.data:
            return None
        circuit.carried[way] += size
        self._bytes += size
        for peer in (circuit.source, circuit.target):
            self._metered[peer] = self._metered.pop(peer, 0) + size
        while len(self._metered) > bounds.RELAY_METERED:
            self._metered.popitem(last=False)
        return max(circuit.pace.spend(size, now), self._pace.spend(size, now))

    def opened(self) -> None:
        """A circuit stands: both sides agreed."""
        self._ever += 1

    def ended(self, circuit: Circuit) -> None:
        """The circuit is no more."""
        self._circuits.discard(circuit)

    def gone(self, peer: str) -> None:
        """The peer's connection is lost, and its reservation with it."""
        self._held.pop(peer, None)

    def holds(self, peer: str, now: float) -> bool:
        """Whether the peer has a reservation."""
        self._expire(now)
        return peer in self._held

    def holders(self) -> list[str]:
        """The peers that have one, or had until lately."""
        return list(self._held)

    def metered(self, peer: str) -> int:
        """Bytes carried from and to the peer."""
        return self._metered.get(peer, 0)

    def summary(self, now: float) -> Relaying:
        """The books, closed now."""
        self._expire(now)
        return Relaying(
            reservations=len(self._held),
            reservations_most=bounds.RELAY_RESERVATIONS,
            circuits=len(self._circuits),
            circuits_most=bounds.RELAY_CIRCUITS,
            bytes=self._bytes,
            circuits_ever=self._ever,
            refused=self._refused,
        )

    def _expire(self, now: float) -> None:
        for peer in [peer for peer, (until, _) in self._held.items() if until <= now]:
            del self._held[peer]
