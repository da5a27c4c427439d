"""Finds this network's peers in the same LAN, and connects to them: no bootstrap, no router and no relay is needed.

Nobody can use it to have us dial others: of what a packet says, only addresses count that it came from.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence

import trio

from wire.errors import RemoteError

from .. import bounds
from ..rates import Rates
from .mdns import Answerer, question
from .places import ip_of

log = logging.getLogger(__name__)

_GROUP = "224.0.0.251"


class Lan:
    """`interfaces`: our IPv4 addresses in LANs; `told`: what we tell there; `meet`: connects to a peer by addresses."""

    def __init__(
        self,
        peer_id: str,
        network: str,
        interfaces: Callable[[], Sequence[str]],
        told: Callable[[], Sequence[str]],
        meet: Callable[[str, Sequence[str]], Awaitable[None]],
    ) -> None:
        self._answerer = Answerer(peer_id, network)
        self._interfaces, self._told, self._meet = interfaces, told, meet
        self._packets = Rates(bounds.MDNS_RATE, bounds.MDNS_BURST)
        self._answers = Rates(bounds.MDNS_ANSWERS, 1.0)
        self._meetings = Rates(bounds.LAN_RATE, bounds.LAN_BURST)
        self._meeting: set[str] = set()
        self._joined: set[str] = set()

    async def run(self) -> None:
        """Ask and answer, for ever; in no LAN, wait for one."""
        while not self._interfaces():  # noqa: ASYNC110 — the system tells nobody
            await trio.sleep(bounds.INTERFACES_EVERY)
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):  # the system's own resolver has the port as well
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
            await udp.bind(("", bounds.MDNS_PORT))
            self._joined = set()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ask, udp)
                while True:
                    data, sender = await udp.recvfrom(bounds.MDNS_PACKET)
                    if self._packets.take("", trio.current_time()):
                        await self._hear(udp, nursery, data, sender[0])

    async def _ask(self, udp: trio.socket.SocketType) -> None:
        pause = bounds.MDNS_FIRST
        while True:
            self._join(udp)
            await self._send(udp, question())
            await self._send(udp, self._answerer.answer(self._told()))
            await trio.sleep(pause)
            pause = min(2 * pause, bounds.MDNS_EVERY)

    async def _hear(self, udp: trio.socket.SocketType, nursery: trio.Nursery, data: bytes, sender: str) -> None:
        heard = self._answerer.read(data)
        now = trio.current_time()
        if heard.asks and self._answers.take("", now):
            await self._send(udp, self._answerer.answer(self._told()))
        for peer, addresses in heard.peers:
            near = [address for address in addresses if str(ip_of(address)) == sender]
            if near and peer not in self._meeting and self._meetings.take("", now):
                self._meeting.add(peer)
                nursery.start_soon(self._visit, peer, near)

    async def _visit(self, peer: str, addresses: Sequence[str]) -> None:
        try:
            await self._meet(peer, addresses)
        except RemoteError as error:
            log.debug("a peer of this LAN could not be reached: %s", error)
        finally:
            self._meeting.discard(peer)

    def _join(self, udp: trio.socket.SocketType) -> None:
        """Hear what is said in the LANs that this machine is in now."""
        for own in set(self._interfaces()) - self._joined:
            try:
                group = socket.inet_aton(_GROUP) + socket.inet_aton(own)
                udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            except OSError as error:  # two addresses of one interface, or one that is gone
                log.debug("mDNS is not heard at %s: %s", own, error)
            self._joined.add(own)

    async def _send(self, udp: trio.socket.SocketType, packet: bytes) -> None:
        for own in self._interfaces():
            try:
                udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
                await udp.sendto(packet, (_GROUP, bounds.MDNS_PORT))
            except OSError as error:  # the interface is down, or takes no multicast
                log.debug("mDNS is not spoken at %s: %s", own, error)
