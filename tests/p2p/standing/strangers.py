"""Attackers that speak as much of the protocols as their attack needs, from whatever address of this machine's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Network

import trio
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.transport.upgrader import TransportUpgrader

from p2p import Host
from p2p.addresses import parse_peer
from p2p.noise.transport import NoiseSession, NoiseTransport
from p2p.standing.ranges import Ranges
from wire.keys import NodeKey

HONEST = "127.0.0.1"


def _range(address: str, bits: int) -> str | None:
    host = address.split("/")[2] if address.startswith("/ip4/") else address
    return str(IPv4Network((host, bits), strict=False)) if host.startswith("127.") and host != HONEST else None


# 127.0.5.x plays one range and 127.0.6.x the next; who comes from 127.0.0.1 comes from nowhere in particular.
RANGES = Ranges(lambda address: _range(address, 24), lambda address: _range(address, 16))


def port_of(host: Host) -> int:
    """Where the host listens: what it announces depends on whom it has met."""
    (listener,) = host._swarm.listeners.values()
    return int(str(listener.get_addrs()[0]).split("/")[4])


def address_of(host: Host) -> list[str]:
    """As it is dialled from this machine."""
    return [f"/ip4/127.0.0.1/tcp/{port_of(host)}/p2p/{host.peer_id}"]


async def tcp(port: int, source: str) -> trio.SocketStream:
    """A connection that says nothing yet."""
    socket = trio.socket.socket()
    try:
        await socket.bind((source, 0))
        await socket.connect(("127.0.0.1", port))
    except BaseException:
        socket.close()
        raise
    return trio.SocketStream(socket)


async def closed(stream: trio.SocketStream, within: float = 10.0) -> bool:
    """Whether the other side ends the connection."""
    with trio.move_on_after(within):
        try:
            while await stream.receive_some(65536):
                pass
        except trio.BrokenResourceError:
            pass
        return True
    return False


@asynccontextmanager
async def secured(host: Host, source: str, key: NodeKey | None = None) -> AsyncIterator[NoiseSession]:
    """A session with the host, past noise and both negotiations; its owner writes yamux frames, or none."""
    pair = create_new_key_pair((key or NodeKey.generate()).secret)
    upgrader = TransportUpgrader({NOISE: NoiseTransport(pair)}, {})
    raw = RawConnection(TrioTCPStream(await tcp(port_of(host), source)), True)
    try:
        session = await upgrader.upgrade_security(raw, True, parse_peer(host.peer_id))
        assert isinstance(session, NoiseSession)
        for line in ("/multistream/1.0.0\n", f"{YAMUX}\n"):
            await session.write(len(line).to_bytes(1, "big") + line.encode())
        read = b""
        while not read.endswith(f"{YAMUX}\n".encode()):
            read += await session.read()
        yield session
    finally:
        with trio.move_on_after(1, shield=True):
            await raw.close()
