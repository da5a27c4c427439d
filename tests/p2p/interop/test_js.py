"""TCP, noise and yamux with js-libp2p, dialled by either side: identify, ping, echoes, and 100 MiB each way."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.ping import PingService
from libp2p.network.stream.exceptions import StreamEOF

from p2p import Host, open_host
from p2p.addresses import parse_peer
from tests.p2p.hosts import LOOPBACK, NETWORK, until
from wire.keys import NodeKey

from .javascript import JsNode, javascript, needs_javascript

ECHO, DRAIN, POUR = (TProtocol(f"/test/{name}/1") for name in ("echo", "drain", "pour"))
SIZE = 100 * 1024 * 1024
PIECE = 65536

pytestmark = needs_javascript


async def pour(stream: INetStream, size: int = SIZE) -> str:
    """Send as peer.js does, end, and say the hash of what was sent."""
    digest, body = hashlib.sha256(), bytes([7]) * (PIECE - 4)
    for at in range(0, size, PIECE):
        piece = at.to_bytes(4, "big") + body
        digest.update(piece)
        await stream.write(piece)
    await stream.close()
    return digest.hexdigest()


async def drain(stream: INetStream) -> tuple[int, str]:
    """How much came until the end, and its hash."""
    size, digest = 0, hashlib.sha256()
    with suppress(StreamEOF):
        while True:
            part = await stream.read(1 << 20)
            size += len(part)
            digest.update(part)
    return size, digest.hexdigest()


async def echo(stream: INetStream) -> None:
    with suppress(StreamEOF):
        while True:
            await stream.write(await stream.read(PIECE))
    await stream.close()


async def say_hash(stream: INetStream) -> None:
    _, digest = await drain(stream)
    await stream.write(bytes.fromhex(digest))
    await stream.close()


async def send_all(stream: INetStream) -> None:
    await pour(stream)


@asynccontextmanager
async def peer(listen: Sequence[str] = LOOPBACK) -> AsyncIterator[Host]:
    """One of ours that serves the same as a node of peer.js."""
    async with open_host(NodeKey.generate(), NETWORK, listen=listen) as host:
        for protocol, handler in ((ECHO, echo), (DRAIN, say_hash), (POUR, send_all)):
            host._host.set_stream_handler(protocol, handler)
        yield host


async def open_stream(host: Host, node: JsNode, protocol: TProtocol) -> INetStream:
    return await host._host.new_stream(parse_peer(node.peer), [protocol])


def poured() -> str:
    """The hash of what either side pours."""
    digest, body = hashlib.sha256(), bytes([7]) * (PIECE - 4)
    for at in range(0, SIZE, PIECE):
        digest.update(at.to_bytes(4, "big") + body)
    return digest.hexdigest()


@pytest.mark.parametrize("listen", ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"])
async def test_javascript_dials_us(listen: str) -> None:
    async with peer([listen]) as host, javascript() as js:
        node = await js.open(listen=[])
        said = await node("dial", address=host.addresses[0])
        assert said["peer"] == host.peer_id
        assert (said["muxer"], said["encryption"]) == ("/yamux/1.0.0", "/noise")
        served = {ECHO, NETWORK.protocol("kad")}
        await node.until(lambda said: served <= set(said["protocols"]), "identified", peer=host.peer_id)
        assert (await node("ping", peer=host.peer_id))["rtt"] >= 0
        for data in (b"x", bytes(range(256)) * 1000):
            assert (await node("echo", peer=host.peer_id, data=data.hex()))["data"] == data.hex()


@pytest.mark.parametrize("listen", ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"])
async def test_we_dial_javascript(listen: str) -> None:
    async with peer() as host, javascript() as js:
        node = await js.open(listen=[listen])
        assert await host.connect(node.addresses) == node.peer
        await until(lambda: ECHO in host._host.speaks(parse_peer(node.peer)))
        assert await PingService(host._host).ping(parse_peer(node.peer), 3)
        stream = await open_stream(host, node, ECHO)
        data = bytes(range(251)) * 4000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, data)
            back = bytearray()
            while len(back) < len(data):
                back += await stream.read(PIECE)
        assert back == data
        await stream.close()
        with pytest.raises(StreamEOF):
            await stream.read(1)


@pytest.mark.parametrize("dialled_by_us", [True, False])
async def test_streams_of_100_mib_each_way(dialled_by_us: bool) -> None:
    """On one connection, both ways on streams of either side's."""
    async with peer() as host, javascript() as js:
        node = await js.open()
        if dialled_by_us:
            await host.connect(node.addresses)
        else:
            await node("dial", address=host.addresses[0])
        expected = {"size": SIZE, "hash": poured()}

        stream = await open_stream(host, node, DRAIN)
        assert await pour(stream) == expected["hash"]
        assert await stream.read(32) == bytes.fromhex(str(expected["hash"]))
        assert await drain(await open_stream(host, node, POUR)) == (SIZE, expected["hash"])

        sent = await node("pour", peer=host.peer_id, size=SIZE)
        assert (sent["hash"], sent["back"]) == (expected["hash"], expected["hash"])
        got = await node("drain", peer=host.peer_id)
        assert (got["size"], got["hash"]) == (SIZE, expected["hash"])
