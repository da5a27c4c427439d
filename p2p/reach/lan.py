"""Finds this network's peers in the same LAN, and connects to them: no bootstrap, no router and no relay is needed.

Nobody can use it to have us dial others: of what a packet says, only addresses count that it came from.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from wire.errors import RemoteError

from .. import bounds
from ..rates import Rates
from .mdns import Answerer, question
from .multicast import Voice, hear, join, opened, say
from .places import IP, ip_of

log = logging.getLogger(__name__)


class Lan:
    """`voices`: our addresses in LANs; `told`: what we tell there; `meet`: connects to a peer by addresses."""

    def __init__(
        self,
        peer_id: str,
        network: str,
        voices: Callable[[], Sequence[Voice]],
        told: Callable[[], Sequence[str]],
        meet: Callable[[str, Sequence[str]], Awaitable[None]],
    ) -> None:
        self._answerer = Answerer(peer_id, network)
        self._voices, self._told, self._meet = voices, told, meet
        self._packets = Rates(bounds.MDNS_RATE, bounds.MDNS_BURST)
        self._answers = Rates(bounds.MDNS_ANSWERS, 1.0)
        self._meetings = Rates(bounds.LAN_RATE, bounds.LAN_BURST)
        self._meeting: set[str] = set()

    async def run(self) -> None:
        """Ask and answer, in IPv4 and IPv6, for ever."""
        async with trio.open_nursery() as nursery:
            for version in (4, 6):
                nursery.start_soon(self._run, version)

    async def _run(self, version: int) -> None:
        """In one family; in no LAN, wait for one."""
        while not self._voices_of(version):  # noqa: ASYNC110 — the system tells nobody
            await trio.sleep(bounds.INTERFACES_EVERY)
        with opened(version) as udp:
            await udp.bind(("", bounds.MDNS_PORT))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ask, udp, version)
                while True:
                    data, sender = await hear(udp)
                    if sender is not None and self._packets.take("", trio.current_time()):
                        await self._hear(udp, nursery, data, sender)

    async def _ask(self, udp: trio.socket.SocketType, version: int) -> None:
        pause, joined = bounds.MDNS_FIRST, set[Voice]()
        while True:
            for voice in set(self._voices_of(version)) - joined:
                joined.add(voice)
                try:
                    join(udp, voice)
                except OSError as error:  # two addresses of one interface, or one that is gone
                    log.debug("mDNS is not heard at %s: %s", voice.ip, error)
            await self._send(udp, question())
            await self._send(udp, self._answerer.answer(self._told()))
            await trio.sleep(pause)
            pause = min(2 * pause, bounds.MDNS_EVERY)

    async def _hear(self, udp: trio.socket.SocketType, nursery: trio.Nursery, data: bytes, sender: IP) -> None:
        heard = self._answerer.read(data)
        now = trio.current_time()
        if heard.asks and self._answers.take("", now):
            await self._send(udp, self._answerer.answer(self._told()))
        for peer, addresses in heard.peers:
            near = [address for address in addresses if ip_of(address) == sender]
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

    async def _send(self, udp: trio.socket.SocketType, packet: bytes) -> None:
        for voice in self._voices_of(4 if udp.family == trio.socket.AF_INET else 6):
            try:
                await say(udp, packet, voice)
            except OSError as error:  # the interface is down, or takes no multicast
                log.debug("mDNS is not spoken at %s: %s", voice.ip, error)

    def _voices_of(self, version: int) -> list[Voice]:
        return [voice for voice in self._voices() if voice.ip.version == version]
