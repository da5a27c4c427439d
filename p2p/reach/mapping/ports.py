"""One TCP port of ours, as a router of each kind maps it. All of it is bounded in time and may be cancelled."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, TypeVar

import trio

from ... import bounds
from . import packets
from .packets import Reply

T = TypeVar("T")


class NoMapping(Exception):
    """Its text says why, with the router's or the protocol's name in it.

    `outside`: the refusing router's own address, as it says, "" where it says that it has none; None: it was not asked.
    """

    def __init__(self, text: str, router: str = "", outside: str | None = None) -> None:
        super().__init__(text)
        self.router, self.outside = router, outside


@dataclass(frozen=True, slots=True)
class Grant:
    """What a router gave."""

    ip: str  # its own, as it says
    port: int
    seconds: float  # until it ends, unless renewed


class Port(Protocol):
    """A port that can be mapped, again and again, and unmapped. `name`: of the protocol; `router`: its address."""

    name: str
    router: str

    async def map(self) -> Grant:
        """Map the port, or renew its mapping. NoMapping when there is none."""

    async def unmap(self) -> None:
        """End the mapping, if the router listens. Raises nothing for its sake."""


class PcpPort:
    """Over PCP, or, where the router is older, NAT-PMP. An IPv6 port, which needs an IPv6 router, over PCP alone."""

    name = "PCP"

    def __init__(self, router: str, own: str, port: int, server_port: int = packets.SERVER_PORT) -> None:
        self.router, self._own, self._port, self._server = router, own, port, server_port
        self._nonce = secrets.token_bytes(packets.NONCE)
        self._external = port
        self._answers = False
        self._is_six = ":" in own

    async def map(self) -> Grant:
        life = int(bounds.MAPPING_LIFE)
        if self.name == "PCP":
            ask = packets.pcp_map(self._nonce, self._own, self._port, self._external, life)
            reply = await self._ask(ask, lambda data: packets.read_pcp(data, self._nonce, self._port))
            if reply is not None and reply.result != packets.UNSUPPORTED_VERSION:
                return self._granted(reply, reply.ip)
        if self._is_six:
            raise NoMapping(f"the router at {self.router} does not answer PCP")
        where = await self._ask(packets.natpmp_address(), packets.read_natpmp_address)
        if where is None:
            raise NoMapping(f"the router at {self.router} answers neither PCP nor NAT-PMP")
        self.name = "NAT-PMP"
        ask = packets.natpmp_map(self._port, self._external, life)
        reply = await self._ask(ask, lambda data: packets.read_natpmp_map(data, self._port))
        return self._granted(reply, where.ip)

    async def unmap(self) -> None:
        if not self._answers:
            return
        with trio.move_on_after(bounds.UNMAPPING_TIME):
            if self.name == "PCP":
                end = packets.pcp_map(self._nonce, self._own, self._port, 0, 0)
                await self._ask(end, lambda data: packets.read_pcp(data, self._nonce, self._port))
            else:
                end = packets.natpmp_map(self._port, 0, 0)
                await self._ask(end, lambda data: packets.read_natpmp_map(data, self._port))

    def _granted(self, reply: Reply | None, ip: str) -> Grant:
        if reply is None or reply.result or not reply.port:
            why = "does not answer" if reply is None else f"refuses (result {reply.result})"
            raise NoMapping(f"the router at {self.router} {why} over {self.name}")
        self._external = reply.port
        return Grant(ip, reply.port, float(reply.seconds))

    async def _ask(self, packet: bytes, read: Callable[[bytes], Reply | None]) -> Reply | None:
        """Send until the router answers, a few times, each wait twice as long as the one before (RFC 6886)."""
        family = trio.socket.AF_INET6 if self._is_six else trio.socket.AF_INET
        with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as udp:
            try:
                if self._is_six:  # a router takes no word for any but its sender's address, and there are several
                    await udp.bind((self._own, 0))
                await udp.connect((self.router, self._server))  # so that nobody else's packets come
                for turn in range(bounds.MAPPING_TRIES):
                    await udp.send(packet)
                    with trio.move_on_after(bounds.MAPPING_WAIT * 2**turn):
                        while (reply := read(await udp.recv(2048))) is None:
                            pass
                        self._answers = True
                        return reply
            except OSError:  # nobody listens there
                return None
        return None


class UpnpPort:
    """Over UPnP's IGD, by the miniupnp project's own client, which blocks and so works in a thread."""

    name = "UPnP"

    def __init__(self, own: str, port: int, random: Random) -> None:
        self.router = ""
        self._own, self._port, self._random = own, port, random
        self._external = 0
        self._device: Any = None  # miniupnpc says nothing of its types
        self._given_up = False

    async def map(self) -> Grant:
        self._given_up = False
        try:
            with trio.fail_after(bounds.UPNP_TIME):
                return await _in_thread(self._map)
        except trio.Cancelled:
            self._given_up = True  # the thread goes on to its end
            raise
        except trio.TooSlowError:
            self._given_up = True
            raise NoMapping("no router answers UPnP in time") from None

    async def unmap(self) -> None:
        if self._device is not None and self._external:
            with trio.move_on_after(bounds.UNMAPPING_TIME):
                await _in_thread(self._unmap)

    def _map(self) -> Grant:
        try:
            device = self._device or self._find()
            ip = str(device.externalipaddress() or "")
        except Exception as error:  # the client raises Exception itself, and on some systems for success
            self._device = None
            raise NoMapping("no router answers UPnP") from error
        self._device = device
        # Others may hold the port already; a router may also know no leases but those without end.
        wanted = [self._external or self._port, *(self._random.randrange(20_000, 60_000) for _ in range(2))]
        failure: Exception | None = None
        for external in wanted:
            for life in (int(bounds.MAPPING_LIFE), 0):
                try:
                    device.addportmapping(external, "TCP", self._own, self._port, "hallmark", "", life)
                except Exception as error:  # as above
                    failure = error
                    continue
                self._external = external
                if self._given_up:
                    self._unmap()
                return Grant(ip, external, float(life or bounds.MAPPING_LIFE))
        raise NoMapping(f"the router at {self.router} refuses over UPnP ({failure})", self.router, ip) from failure

    def _find(self) -> Any:
        import miniupnpc  # type: ignore[import-not-found]  # few peers ever ask a router

        device = miniupnpc.UPnP(multicastif=self._own, discoverdelay=int(1000 * bounds.UPNP_WAIT))
        device.discover()
        url = str(device.selectigd())
        self.router = url.partition("://")[2].partition("/")[0].rpartition(":")[0] or url
        return device

    def _unmap(self) -> None:
        try:
            self._device.deleteportmapping(self._external, "TCP")
            self._external = 0
        except Exception:  # as above; the lease ends by itself
            return


async def _in_thread(call: Callable[[], T]) -> T:
    """A router that hangs keeps a thread and nobody else."""
    return await trio.to_thread.run_sync(
        call,
        abandon_on_cancel=True,  # type: ignore[call-arg]  # the stubs are older
        limiter=trio.CapacityLimiter(1),
    )
