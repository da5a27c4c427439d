"""The ways to a peer that not everybody can dial: whether others reach it, relays, and holes in routers, wired.

`reach/` finds out how others reach this peer; while they do not, `relay/` holds reservations with relays, dials over
them and makes direct connections of it. A peer that is reached may be such a relay itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import trio
from libp2p.abc import INetConn

from wire.network import Network

from .contacts import Contacts
from .dht.discovery import Discovery
from .exchanges import Exchanges
from .guard import SafeHost
from .options import Options
from .reach.dialback import NAME as REACH
from .reach.places import Places
from .reach.service import Reaching
from .reach.state import Reach, Reachability
from .relay.circuit import Circuits
from .relay.client import Relays
from .relay.limits import Relaying
from .relay.service import Relay, relay_key
from .relay.upgrading import Upgrades
from .relay.vantage import Vantage
from .standing.doorkeeper import Doorkeeper
from .whereabouts import Whereabouts


class Ways:
    """How this peer is reached, and how it reaches those behind relays and routers."""

    def __init__(
        self,
        host: SafeHost,
        network: Network,
        nursery: trio.Nursery,
        contacts: Contacts,
        exchanges: Exchanges,
        discovery: Discovery,
        whereabouts: Whereabouts,
        door: Doorkeeper,
        options: Options,
    ) -> None:
        self._host, self._options, self._discovery = host, options, discovery
        self.reach = Reaching(
            host, network.protocol(REACH), exchanges.open, options.announce, options.port_mapping, options.ranges
        )
        exchanges.handle(REACH, self.reach.serve)

        async def meet(peer_id: str, addresses: Sequence[str]) -> None:
            whereabouts.learn(peer_id, addresses)
            await contacts.reach(peer_id)

        self._lan = self.reach.lan(str(host.get_id()), network.name, meet) if options.mdns else None

        self._vantage = Vantage(host, contacts.reach_relay)
        places = Places(options.ranges.wide)
        self.upgrades = Upgrades(host, nursery, contacts.dialler, whereabouts.of, self._vantage, places)
        self._relays = Relays(
            host,
            options.relays,
            self._is_private,
            self._vantage.reach,
            lambda: discovery.find_providers(relay_key(network)),
            whereabouts.of,
            self.reach.wake,
        )
        contacts.dialler.dial_circuit = Circuits(host, self._vantage.reach, self._relays.holds).dial
        host.circuits = self._relays.circuits
        door.keep(self._relays.held)

        self.relay: Relay | None = None
        if options.relay:
            self.relay = Relay(host, network, lambda: self.addresses, self.is_reachable, options.ranges)
            door.keep(self.relay.holders)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others can reach this peer, for records that everybody hears: whole multiaddresses."""
        own = [f"{address}/p2p/{self._host.get_id()}" for address in self.reach.recorded()]
        return tuple(dict.fromkeys([*own, *self._host.circuits()]))

    def reachability(self) -> Reachability:
        """How others can reach this peer, and who found that out."""
        return replace(self.reach.found(), relays=tuple(self._host.circuits()))

    def is_reachable(self) -> bool:
        """Whether others may dial this peer, or may find that they can."""
        # While nobody can tell yet, those who ask reached us, which is all that they need.
        return self._options.listens and self.reachability().state is not Reach.PRIVATE

    def relaying(self) -> Relaying | None:
        """What this peer relays for others; None when it does not."""
        return self.relay.relaying() if self.relay is not None else None

    def identified(self, peer_id: str) -> None:
        """A peer is connected, and what it speaks is known."""
        self._relays.identified(peer_id)
        self.upgrades.identified(peer_id)

    def disconnected(self, connection: INetConn) -> None:
        """A connection ended."""
        self.reach.connections_changed()
        self._relays.disconnected(connection)
        if self.relay is not None:
            self.relay.disconnected(connection)

    def services(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What runs for as long as the peer does, by name."""
        services: dict[str, Callable[[], Awaitable[None]]] = {
            "reachability": self.reach.run,
            "being reached over relays": self._relays.run,
            "connections in reserve": self.upgrades.keep_house,
        }
        if self._lan is not None:
            services["peers in the same LAN"] = self._lan.run
        if (relay := self.relay) is not None:
            services["saying that it relays"] = lambda: relay.announce(self._discovery.provide)
        return services

    def close(self) -> None:
        """Let go of our port."""
        self._vantage.close()

    def _is_private(self) -> bool | None:
        found = self.reachability()
        if self._options.over_relays or not self._options.listens:
            return self._options.over_relays
        unsure = found.state is Reach.CHECKING and not found.confirmed
        return None if unsure else found.state is Reach.PRIVATE
