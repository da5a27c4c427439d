"""What a relay gives to whom: reservations, circuits, bytes and rates, all bounded. A machine without I/O.

Counts are bounded in all, per range of addresses and per peer, so that one operator, however many ids it makes, leaves
room for others; and where there is none left, a circuit of the most crowded wide range gives way. Rates are shaped, not
refused: who is over one is read from later, which the stream's window turns into back pressure. Times are seconds of
any clock.
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
    wide: str | None
    limit: Limit
    ends: float
    instead_of: Circuit | None = None  # which has to end for it
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
        # Reservations: until when, from which range of addresses, and from which wide one.
        self._held: dict[str, tuple[float, str | None, str | None]] = {}
        self._circuits: dict[Circuit, None] = {}  # the oldest first
        self._requests = Rates(bounds.RELAY_REQUESTS, bounds.RELAY_REQUESTS_BURST)
        self._pace = Pace(bounds.RELAY_RATE_ALL)
        self._metered: OrderedDict[str, int] = OrderedDict()
        self._bytes = self._ever = self._refused = 0

    def hears(self, peer: str, now: float) -> bool:
        """Whether another request of the peer's is listened to now."""
        return self._requests.take(peer, now)

    def reserve(self, peer: str, range_: str | None, now: float, *, wide: str | None = None) -> Status:
        """Give the peer a reservation for RELAY_LIFE from now, or renew the one it has."""
        self._expire(now)
        others = [ranges for holder, (_, *ranges) in self._held.items() if holder != peer]
        near = sum(range_ is not None and narrow == range_ for narrow, _ in others)
        around = sum(wide is not None and other == wide for _, other in others)
        if (
            len(others) >= bounds.RELAY_RESERVATIONS
            or near >= bounds.RELAY_RESERVATIONS_PER_RANGE
            or around >= bounds.RELAY_RESERVATIONS_PER_WIDE
        ):
            self._refused += 1
            return Status.RESERVATION_REFUSED
        self._held[peer] = (now + bounds.RELAY_LIFE, range_, wide)
        return Status.OK

    def connect(
        self, source: str, target: str, range_: str | None, ours: bool, now: float, *, wide: str | None = None
    ) -> Circuit | Status:
        """A circuit from `source`, whose addresses are of `range_` in `wide`; `ours`: the target is of our network."""
        self._expire(now)
        if target not in self._held:
            self._refused += 1
            return Status.NO_RESERVATION
        of_peers = Counter(peer for circuit in self._circuits for peer in (circuit.source, circuit.target))
        near = sum(range_ is not None and circuit.range == range_ for circuit in self._circuits)
        # Whoever is asked for serves many; nobody else may take all of its places.
        crowded = of_peers[target] >= bounds.RELAY_CIRCUITS // 2
        full = len(self._circuits) >= bounds.RELAY_CIRCUITS
        gone = self._gives_way(target if crowded else None, wide) if full or crowded else None
        if (
            near >= bounds.RELAY_CIRCUITS_PER_RANGE
            or of_peers[source] >= bounds.RELAY_CIRCUITS_PER_PEER
            or ((full or crowded) and gone is None)
        ):
            self._refused += 1
            return Status.RESOURCE_LIMIT_EXCEEDED
        if gone is not None:
            self.ended(gone)
        limit = OURS if ours else STRANGERS
        circuit = Circuit(source, target, range_, wide, limit, now + limit.seconds, gone)
        self._circuits[circuit] = None
        return circuit

    def _gives_way(self, target: str | None, wide: str | None) -> Circuit | None:
        """The circuit (of the target's) that makes room for one from `wide`: the one that carried least, of a range
        that has at least two more. None when there is none: a circuit of a small range is never taken away."""
        those = [one for one in self._circuits if target is None or target in (one.source, one.target)]
        crowd = Counter(one.wide for one in those)
        fullest = max(crowd, key=lambda each: crowd[each])
        if crowd[fullest] < crowd[wide] + 2:
            return None
        return min((one for one in those if one.wide == fullest), key=lambda one: sum(one.carried))

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
        self._circuits.pop(circuit, None)

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
        for peer in [peer for peer, (until, *_) in self._held.items() if until <= now]:
            del self._held[peer]
