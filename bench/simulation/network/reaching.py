"""Whether an honest peer can be reached, as it finds out itself; and what a private one does then.

The machines of `p2p/reach` and `p2p/relay` decide; what surrounds them follows `p2p/reach/service.py` and
`p2p/relay/client.py`. A hole is punched as often as it was in the field (70%) where both routers allow it.
"""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING

from p2p import bounds
from p2p.reach.machine import ReachMachine
from p2p.reach.places import IP, Places
from p2p.reach.poll import Ask
from p2p.reach.state import Mapped, Reach
from p2p.relay import reserving
from p2p.relay.limits import Circuit, Limits
from p2p.relay.messages import Status
from p2p.relay.reserving import Origin, Reservations

from .links import Connection
from .peers import RANGES, Peer, Way

if TYPE_CHECKING:
    from .honest import Honest

PUNCHED = 0.7  # of the pairs whose routers allow it
PUNCH_TIME = 1.0  # seconds from a circuit to the direct connection
ROUTER = 2.0  # seconds until a router has mapped a port
PATIENCE = 20.0  # seconds for the answer of who was asked to dial back
EXPECTED = {Way.PUBLIC: Reach.PUBLIC, Way.MAPPED: Reach.MAPPED, Way.CONE: Reach.PRIVATE, Way.SYMMETRIC: Reach.PRIVATE}


class Reaching:
    """One honest peer's. `relays`: whether it relays for others when it is public."""

    def __init__(self, peer: Honest, relays: bool, known: list[Honest]) -> None:
        world, name = peer.world, f"{peer.world.seed} {peer.index}"
        self._peer, self._known = peer, known
        self._machine = ReachMachine(Random(f"reach {name}"), Places(RANGES.wide), world.now, maps=True)
        self._random = Random(f"reaching {name}")
        self.reservations = Reservations(RANGES.narrow, Random(f"relays {name}"))
        self.limits = Limits() if relays else None
        self.carried: dict[Connection, Circuit] = {}
        self.mapped = False
        home = peer.address if peer.way is Way.PUBLIC else "/ip4/192.168.1.7/tcp/4001"
        self._machine.listens((home,), world.now)
        for relay in known:
            if relay is not peer:
                self.reservations.known(relay.name, (relay.address,), Origin.NETWORK)
        self._asked_router = False
        world.after(self._random.random(), self._beat)

    @property
    def right(self) -> bool:
        """Whether it knows where it stands."""
        return self._machine.found(self._peer.world.now).state is EXPECTED[self._peer.way]

    # What happens.

    def connected(self, connection: Connection) -> None:
        """A connection stands: the other says where it sees us."""
        other = connection.other(self._peer)
        self._meet()
        if connection.via is None:
            seen = ip_address(self._peer.address.split("/")[2])
            self._peer.world.clock.at(
                self._peer.world.clock.us + 2 * connection.one_way_us, self._observed, connection, seen
            )
        if other.relays:
            self.reservations.known(other.name, (other.address,), Origin.MET)

    def disconnected(self, connection: Connection) -> None:
        """It ended."""
        other = connection.other(self._peer)
        self._meet()
        self.reservations.lost(other.name, self._peer.world.now)
        if self.limits is not None:
            self.limits.gone(other.name)

    def _observed(self, connection: Connection, seen: IP) -> None:
        if connection.open:
            self._machine.observed(connection.other(self._peer).name, seen, self._peer.world.now)

    def _meet(self) -> None:
        direct = {
            name: ip_address(self._peer.world.named[name].address.split("/")[2])
            for name, connection in self._peer.connections.items()
            if connection.via is None
        }
        self._machine.meets(direct, self._peer.world.now)

    def _beat(self) -> None:
        """Once a second: whom to ask, what to map, where to reserve."""
        peer, world = self._peer, self._peer.world
        if peer.reaching is not self or not peer.up:
            return
        for ask in self._machine.asks(world.now):
            self._ask(ask)
        if not self._asked_router and self._machine.wants_mapping(world.now):
            self._asked_router = True
            world.after(ROUTER, self._router)
        self.reservations.private(self._machine.found(world.now).state is Reach.PRIVATE)
        for action in self.reservations.tick(world.now):
            if isinstance(action, reserving.Ask):
                relay = world.named[action.relay]
                peer.call(relay, partial(self._reserve, relay))
            else:
                world.after(1.0, self._found)
        world.after(1.0, self._beat)

    def _router(self) -> None:
        self.mapped = self._peer.way is Way.MAPPED
        found = Mapped(self._peer.address, "UPnP, router 192.168.1.1") if self.mapped else Mapped(trouble="no router")
        self._machine.maps(found, self._peer.world.now)

    def _found(self) -> None:
        """The DHT's relays."""
        relays = [peer for peer in self._peer.world.peers if peer.relays and peer.up and peer is not self._peer]
        for relay in self._random.sample(relays, min(4, len(relays))):
            self.reservations.known(relay.name, (relay.address,), Origin.FOUND)

    # Dialling back.

    def _ask(self, ask: Ask) -> None:
        world, connection = self._peer.world, self._peer.connections.get(ask.peer)
        waiting = {ask}
        if connection is not None:
            asked = connection.other(self._peer)
            world.links.carry(connection, self._peer, 200, self._dial_back, connection, asked, ask, waiting)
        world.after(PATIENCE, self._unanswered, ask, waiting)

    def _dial_back(self, connection: Connection, asked: Peer, ask: Ask, waiting: set[Ask]) -> None:
        world = self._peer.world
        works = self._peer.open and not world.links.parted(asked, self._peer)
        took = 6 * world.links.one_way_us(asked, self._peer) if works else 5_000_000
        says = asked.dials_back(works)
        world.say(f"dialback {asked.index} {self._peer.index} {says}")
        tried = {address: (says, "" if says else "timed out") for address in ask.addresses}
        world.clock.at(world.clock.us + took, self._say, connection, asked, ask, tried, waiting)

    def _say(
        self, connection: Connection, asked: Peer, ask: Ask, tried: dict[str, tuple[bool, str]], waiting: set[Ask]
    ) -> None:
        if connection.open:
            self._peer.world.links.carry(connection, asked, 200, self._answered, ask, tried, waiting)

    def _answered(self, ask: Ask, tried: dict[str, tuple[bool, str]], waiting: set[Ask]) -> None:
        if waiting:
            waiting.clear()
            self._machine.answered(ask, tried, self._peer.world.now_ms)

    def _unanswered(self, ask: Ask, waiting: set[Ask]) -> None:
        if waiting:
            waiting.clear()
            self._machine.unanswered(ask, bounds.CHECKER_REST, self._peer.world.now)

    # Relays.

    def carries(self, connection: Connection) -> bool:
        """Whether a circuit can be had through this peer; then it stands."""
        if self.limits is None:
            return False
        source, target, now = connection.dialler, connection.listener, self._peer.world.now
        narrow, wide = RANGES.narrow(source.address), RANGES.wide(source.address)
        circuit = self.limits.connect(source.name, target.name, narrow, True, now, wide=wide)
        if not isinstance(circuit, Circuit):
            return False
        for other in [other for other, its in self.carried.items() if its is circuit.instead_of]:
            self._peer.world.close(other, other.dialler)
        self.limits.opened()
        self.carried[connection] = circuit
        self._peer.world.after(PUNCH_TIME, self._punch, connection)
        return True

    def over(self, connection: Connection) -> None:
        """A circuit ended."""
        circuit = self.carried.pop(connection, None)
        if circuit is not None and self.limits is not None:
            self.limits.ended(circuit)

    def stop(self) -> None:
        """It is gone, and all circuits with it."""
        for connection in list(self.carried):
            self._peer.world.close(connection, connection.dialler)

    def _punch(self, connection: Connection) -> None:
        """The two have a direct connection from now on, if their routers let them."""
        ends = (connection.dialler, connection.listener)
        punches = all(end.way is Way.CONE for end in ends) and self._random.random() < PUNCHED
        if connection in self.carried and (any(end.open for end in ends) or punches):
            self.over(connection)
            connection.via, connection.one_way_us = None, self._peer.world.links.one_way_us(*ends)
            self._peer.world.say(f"direct {ends[0].index} {ends[1].index}")

    def _reserve(self, relay: Peer, connection: Connection | None) -> None:
        if connection is None or not relay.relays:
            self.reservations.refused(relay.name, self._peer.world.now)
            return
        began = self._peer.world.now
        self._peer.world.links.carry(connection, self._peer, 100, self._asked, connection, relay, began)

    def _asked(self, connection: Connection, relay: Peer, began: float) -> None:
        status = relay.reserves(self._peer)
        self._peer.world.links.carry(connection, relay, 200, self._reserved, relay, status, began)

    def _reserved(self, relay: Peer, status: Status, began: float) -> None:
        now = self._peer.world.now
        if status is Status.OK:
            circuit = f"{relay.address}/p2p/{relay.name}/p2p-circuit"
            self.reservations.reserved(relay.name, (circuit,), bounds.RELAY_LIFE, now - began, False, now)
        else:
            self.reservations.refused(relay.name, now)
