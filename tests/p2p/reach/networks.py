"""Several networks on one machine: each 127.N.0.0/16 is one of the world's, and so is ::1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from p2p import Host, open_host
from p2p.standing.ranges import Ranges
from tests.p2p.hosts import NETWORK
from wire.keys import NodeKey


def wide(address: str) -> str | None:
    """The network of an address, a multiaddress or a bare one."""
    if "p2p-circuit" in address:
        return None
    host = address.split("/")[2] if address.startswith("/") else address
    if host == "::1":
        return "::1"
    return ".".join(host.split(".")[:2]) if host.startswith("127.") else None


WORLD = Ranges(lambda _: None, wide)


@asynccontextmanager
async def peer(address: str, **more: object) -> AsyncIterator[Host]:
    """A peer that listens there."""
    kind = 6 if ":" in address else 4
    async with open_host(
        NodeKey.generate(),
        NETWORK,
        listen=[f"/ip{kind}/{address}/tcp/0"] if address else [],
        ranges=WORLD,
        **more,  # type: ignore[arg-type]
    ) as host:
        yield host


def where(host: Host) -> str:
    """Its whole address, whether others have confirmed it or not."""
    return f"{host.reachability().listening[0]}/p2p/{host.peer_id}"


@asynccontextmanager
async def peers(*addresses: str) -> AsyncIterator[list[Host]]:
    """Several of them."""
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(peer(address)) for address in addresses]
