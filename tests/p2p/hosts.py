"""Real hosts on loopback, and what one asks another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from libp2p.custom_types import TProtocol

from bench.networks import bare_network
from p2p import Host, open_host
from p2p.addresses import parse_peer
from p2p.streams import Channel
from wire.blob import AskOutline
from wire.keys import NodeKey

NETWORK = bare_network("test")
ASK = AskOutline(blob=bytes(32))
LOOPBACK = ["/ip4/127.0.0.1/tcp/0"]


async def echo(channel: Channel) -> None:
    await channel.send(await channel.receive(AskOutline, timeout=5))


async def ask(host: Host, peer: str, protocol: str = "echo") -> None:
    async with host.exchange(peer, protocol) as channel:
        await channel.send(ASK)
        assert await channel.receive(AskOutline, timeout=5) == ASK


async def until(condition: Callable[[], object]) -> None:
    """Poll for what real sockets and another task bring about."""
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110 — the library has no event for most of it
            await trio.sleep(0.01)


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Host, Host]]:
    """A server of `echo`, and a peer connected to it."""
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as server,
        open_host(NodeKey.generate(), NETWORK, listen=[]) as client,
    ):
        server.handle("echo", echo)
        await client.connect(server.addresses, timeout=5)
        yield server, client


async def raw(host: Host, peer: str, protocol: TProtocol, data: bytes) -> None:
    stream = await host._host.new_stream(parse_peer(peer), [protocol])
    await stream.write(data)
