"""Keeps the finding on our reachability true: looks at interfaces and connections, and has peers dial back."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import TYPE_CHECKING

import ifaddr
import trio
from libp2p.abc import IMuxedConn, INetConn

from wire.errors import ErrorCode, RemoteError

from .. import bounds
from ..addresses import Multiaddr
from ..guard import SafeHost
from ..standing.ranges import Ranges
from ..streams import Channel
from .announce import told
from .dialback import DialBack, direct_ip, is_inbound
from .machine import ReachMachine
from .mapping.gateway import default_gateway, default_gateway6
from .mapping.keeping import Keeper
from .mapping.ports import PcpPort, Port, UpnpPort
from .places import Places, Scope, expanded, ip_of, port_of
from .poll import Ask
from .state import Mapped, Reachability

if TYPE_CHECKING:
    from .lan import Lan

log = logging.getLogger(__name__)


class Reaching:
    """What stands around the machine."""

    def __init__(
        self,
        host: SafeHost,
        protocol: str,
        exchange: Callable[[str, str], AbstractAsyncContextManager[Channel]],
        announce: Sequence[str],
        port_mapping: bool,
        ranges: Ranges,
    ) -> None:
        self._host, self._announce, self._places = host, tuple(announce), Places(ranges.wide)
        self._machine = ReachMachine(Random(), self._places, trio.current_time(), announce=announce, maps=port_mapping)
        self._dial_back = DialBack(protocol, self._places, self._connections, exchange)
        self.serve = self._dial_back.serve
        self.on_change: Callable[[], None] = lambda: None
        self._told: tuple[object, ...] = ()
        self._stale, self._news = True, trio.Event()
        host.told, host.observed = self._tell, self._observe

    def expect(self, seeds: Iterable[str]) -> None:
        """These peers are about to be met: what is said until then reaches them too."""
        ips = [ip_of(address) for address in seeds]
        scopes = [Scope.GLOBAL if ip is None else self._places.scope(ip) for ip in ips]
        self._machine.expected = max(scopes, default=None)

    def found(self) -> Reachability:
        """Where this peer stands."""
        self._look_around()
        return self._machine.found(trio.current_time())

    def recorded(self) -> tuple[str, ...]:
        """Our addresses for records that everybody hears, without `/p2p`."""
        self._look_around()
        return told(self._machine, self._places, self._announce, None)

    def check(self) -> None:
        """Have peers dial back now."""
        self._machine.check(trio.current_time())
        self._news.set()

    def wake(self) -> None:
        """Something else that is told has changed: our circuits."""
        self._news.set()

    def connections_changed(self) -> None:
        """Somebody came or went."""
        self._stale = True
        self._news.set()

    def lan(self, peer_id: str, network: str, meet: Callable[[str, Sequence[str]], Awaitable[None]]) -> Lan:
        """What finds peers in the LANs that this machine listens in."""
        from .lan import Lan  # the packets' library takes a while to load, and few peers need it
        from .multicast import voices

        return Lan(
            peer_id,
            network,
            lambda: voices({ip for a in self._machine.listening if (ip := ip_of(a)) is not None}, self._places),
            lambda: told(self._machine, self._places, self._announce, Scope.LAN),
            meet,
        )

    def look(self) -> None:
        """Take in what this machine listens on now."""
        own = [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for found in ifaddr.get_adapters() for ip in found.ips]
        listening = expanded(self._host.listening(), own)
        if listening != self._machine.listening:
            self._machine.listens(listening, trio.current_time())
            self._machine.gateway = default_gateway()

    async def run(self) -> None:
        """Keep at it, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_mapped)
            nursery.start_soon(self._keep_pinhole)
            while True:
                self.look()
                self._look_around()
                for ask in self._machine.asks(trio.current_time()):
                    nursery.start_soon(self._ask, ask)
                self._tell_changes(nursery)
                await self._pause(min(bounds.INTERFACES_EVERY, self._machine.due(trio.current_time())))
                self._news = trio.Event()

    async def _pause(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._news.wait()

    async def _keep_mapped(self) -> None:
        """Have a router map our port, where one stands in the way and nothing else helps."""
        machine, keeper = self._machine, Keeper(self._places, self._mapped)
        while True:
            while not machine.wants_mapping(trio.current_time()):  # noqa: ASYNC110 — time alone may bring it about
                await trio.sleep(bounds.INTERFACES_EVERY)
            at = machine.at_home
            own, port = str(ip_of(at)), port_of(at)
            ports: list[Port] = [PcpPort(machine.gateway, own, port)] if machine.gateway else []
            ports.append(UpnpPort(own, port, Random()))

            def wanted(at: str = at) -> bool:
                return machine.needs_mapping and machine.at_home == at

            async def pause(seconds: float, wanted: Callable[[], bool] = wanted) -> None:
                until = trio.current_time() + seconds
                while wanted() and not machine.router_forgot and trio.current_time() < until:  # noqa: ASYNC110 — as above
                    await trio.sleep(bounds.INTERFACES_EVERY)

            await keeper.keep(ports, wanted, pause)

    async def _keep_pinhole(self) -> None:
        """Have a router's firewall let strangers through to our IPv6 address, where that is what keeps them out."""
        machine, keeper = self._machine, Keeper(self._places, self._pierced)
        while True:
            while not machine.wants_pinhole():  # noqa: ASYNC110 — as above
                await trio.sleep(bounds.INTERFACES_EVERY)
            at = machine.outdoors
            router = default_gateway6()
            ports = [PcpPort(router, str(ip_of(at)), port_of(at))] if router else []

            def wanted(at: str = at) -> bool:
                return machine.needs_pinhole and machine.outdoors == at

            async def pause(seconds: float, wanted: Callable[[], bool] = wanted) -> None:
                until = trio.current_time() + seconds
                while wanted() and trio.current_time() < until:  # noqa: ASYNC110 — as above
                    await trio.sleep(bounds.INTERFACES_EVERY)

            await keeper.keep(ports, wanted, pause)

    def _pierced(self, pinhole: Mapped) -> None:
        self._machine.pierces(pinhole, trio.current_time())
        self._news.set()

    def _mapped(self, mapped: Mapped) -> None:
        self._machine.maps(mapped, trio.current_time())
        self._news.set()

    async def _ask(self, ask: Ask) -> None:
        try:
            tried = await self._dial_back.ask(ask)
        except RemoteError as error:
            log.debug("%s did not dial back: %s", ask.peer, error)
            long = error.code is ErrorCode.UNSUPPORTED  # an older release, or another program
            rest = bounds.CHECKER_REST_LONG if long else bounds.CHECKER_REST
            self._machine.unanswered(ask, rest, trio.current_time())
        else:
            self._machine.answered(ask, tried, time.time_ns() // 1_000_000)
        self._news.set()

    def _look_around(self) -> None:
        if self._stale:
            self._stale = False
            contacts, came = {}, set()
            for peer, connections in self._host.get_network().get_connections_map().items():
                for connection in connections:
                    if not connection.is_closed and (ip := direct_ip(connection)) is not None:
                        contacts[str(peer)] = ip
                        if is_inbound(connection):
                            came.add(str(peer))
            self._machine.meets(contacts, trio.current_time(), came)

    def _tell_changes(self, nursery: trio.Nursery) -> None:
        addresses = (self.recorded(), tuple(self._host.circuits()))
        news = (self.found(), *addresses)
        if news == self._told:
            return
        if self._told[1:] != addresses:  # peers answer others' questions with what identify told them
            for connections in self._host.get_network().get_connections_map().values():
                for connection in connections[:1]:
                    nursery.start_soon(self._host.tell, connection)
        self._told = news
        try:
            self.on_change()
        except Exception:  # whoever listens may fail; that is no reason to look no more
            log.exception("telling of a change of addresses failed")

    def _tell(self, connection: IMuxedConn | None) -> Sequence[str]:
        if connection is None:
            return self.recorded()
        ip = direct_ip(connection)
        scope = Scope.GLOBAL if ip is None else self._places.scope(ip)  # over a relay may be anybody
        self._look_around()
        return told(self._machine, self._places, self._announce, scope)

    def _observe(self, connection: INetConn, observed: Multiaddr) -> None:
        self._look_around()
        if (ip := ip_of(str(observed))) is not None:
            self._machine.observed(str(connection.muxed_conn.peer_id), ip, trio.current_time())
            self._news.set()

    def _connections(self, peer_id: str) -> list[INetConn]:
        found = self._host.get_network().get_connections_map()
        return [c for peer, several in found.items() if str(peer) == peer_id for c in several if not c.is_closed]
