"""The internet of the laboratory: packets in, packets out later, by their destination. No I/O.

Each port is a link to one machine, and has public prefixes: whole IPv4 addresses and IPv6 /32s. What is addressed to no
port is dropped, private addresses first of all, as on the real one.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Network
from random import Random

from .links import Direction, Faults

_V4, _V6_PREFIX = 4, 4  # bytes of an IPv4 address, and of a /32


class Port:
    """A machine's link to the internet."""

    def __init__(self, faults: Faults, random: Random) -> None:
        self.faults = faults
        self.up, self.down = Direction(faults, random), Direction(faults, random)
        self.carried = 0  # bytes that came out towards the machine


class Internet:
    """All ports, and the packets on their way."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.ports: list[Port] = []
        self._routes: dict[bytes, int] = {}
        self._under_way: list[
            tuple[float, int, int, bool, bytes]
        ] = []  # when, a tie-breaker, the port, last leg?, what
        self._count = 0
        self.astray = 0  # packets for nobody

    def add(self, faults: Faults, v4: IPv4Address, v6: IPv6Network) -> int:
        """A new port; its number. `v6` is a /32."""
        self.ports.append(Port(faults, self._random))
        number = len(self.ports) - 1
        self._routes[v4.packed] = self._routes[v6.network_address.packed[:_V6_PREFIX]] = number
        return number

    def came(self, port: int, packet: bytes, now: float) -> None:
        """A machine sent a packet."""
        to = self._route(packet)
        if to is None or to == port:
            self.astray += 1
            return
        self._travel(self.ports[port].up.passes(now, len(packet)), to, False, packet)

    def due(self, now: float) -> Sequence[tuple[int, bytes]]:
        """What comes out by now: the port and the packet."""
        out = []
        while self._under_way and self._under_way[0][0] <= now:
            at, _, port, last, packet = heapq.heappop(self._under_way)
            if last:
                self.ports[port].carried += len(packet)
                out.append((port, packet))
            else:
                self._travel(self.ports[port].down.passes(at, len(packet)), port, True, packet)
        return out

    def next(self) -> float | None:
        """When something is due; None while nothing is under way."""
        return self._under_way[0][0] if self._under_way else None

    def _travel(self, at: float | None, port: int, last: bool, packet: bytes) -> None:
        if at is not None:
            self._count += 1
            heapq.heappush(self._under_way, (at, self._count, port, last, packet))

    def _route(self, packet: bytes) -> int | None:
        match packet[0] >> 4 if packet else 0:
            case 4:
                return self._routes.get(packet[16 : 16 + _V4])
            case 6:
                return self._routes.get(packet[24 : 24 + _V6_PREFIX])
            case _:
                return None
