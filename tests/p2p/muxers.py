"""Connected pairs of raw connections, noise sessions and muxers: ours or the library's, in memory or over TCP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from libp2p.abc import IRawConnection, ISecureTransport
from libp2p.connection_types import ConnectionType
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.noise.transport import Transport as LibraryNoise
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamError
from libp2p.stream_muxer.yamux.yamux import Yamux as LibraryYamux

from p2p.addresses import Multiaddr
from p2p.noise.transport import NoiseTransport
from p2p.standing.ledger import Ledger
from p2p.yamux.connection import Yamux

from .pairs import MemoryStream, stream_pair

MEGABYTE = bytes(range(256)) * 4096
LEFT, RIGHT = create_new_key_pair(bytes(31) + b"\x01"), create_new_key_pair(bytes(31) + b"\x02")


class MemoryConnection(IRawConnection):
    """A raw connection whose other end is in this process."""

    def __init__(self, stream: MemoryStream, is_initiator: bool) -> None:
        self.stream, self.is_initiator = stream, is_initiator

    async def read(self, n: int | None = None) -> bytes:
        return await self.stream.read(n or 65536)

    async def write(self, data: bytes) -> None:
        await self.stream.write(data)

    async def close(self) -> None:
        await self.stream.reset()

    def get_remote_address(self) -> tuple[str, int] | None:
        return None

    def get_transport_addresses(self) -> list[Multiaddr]:
        return []

    def get_connection_type(self) -> ConnectionType:
        return ConnectionType.DIRECT


def in_memory(most: int = 1 << 20) -> tuple[MemoryConnection, MemoryConnection]:
    """The side that dials, and the other."""
    left, right = stream_pair(most)
    return MemoryConnection(left, True), MemoryConnection(right, False)


async def over_tcp() -> tuple[RawConnection, RawConnection]:
    """The same over loopback."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        server = await listener.accept()
    return RawConnection(TrioTCPStream(client), True), RawConnection(TrioTCPStream(server), False)


def security(ours: bool, identity: KeyPair) -> ISecureTransport:
    """Our noise or the library's."""
    return NoiseTransport(identity) if ours else LibraryNoise(identity, create_noise_key_pair().private_key)


async def secured(
    dialler: ISecureTransport, listener: ISecureTransport, ends: tuple[IRawConnection, IRawConnection]
) -> tuple[Any, Any]:
    """Two sessions after their handshake. The dialler expects RIGHT."""
    sessions: list[Any] = [None, None]

    async def dial() -> None:
        sessions[0] = await dialler.secure_outbound(ends[0], ID.from_pubkey(RIGHT.public_key))

    async def listen() -> None:
        sessions[1] = await listener.secure_inbound(ends[1])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial)
        nursery.start_soon(listen)
    return sessions[0], sessions[1]


@asynccontextmanager
async def muxed(
    ends: tuple[IRawConnection, IRawConnection] | None = None,
    left: bool = True,
    right: bool = True,
    ledger: Ledger | None = None,
) -> AsyncIterator[tuple[Any, Any]]:
    """Two muxers that run. `left`, `right`: ours, or the library's (only over TCP). `ledger`: the right one's."""
    ends = ends or in_memory()
    sessions = await secured(security(left, LEFT), security(right, RIGHT), ends)
    muxers = [
        (Yamux if ours else LibraryYamux)(session, session.get_remote_peer(), initiator)
        for ours, session, initiator in ((left, sessions[0], True), (right, sessions[1], False))
    ]
    if ledger is not None:
        muxers[1] = Yamux(sessions[1], sessions[1].get_remote_peer(), False, ledger=ledger)
    async with trio.open_nursery() as nursery:
        for muxer in muxers:
            nursery.start_soon(muxer.start)
            await muxer.event_started.wait()
        try:
            yield muxers[0], muxers[1]
        finally:
            nursery.cancel_scope.cancel()


async def opened(opener: Any, accepter: Any) -> tuple[Any, Any]:
    """The two ends of a new stream."""
    near = await opener.open_stream()
    with trio.fail_after(5):
        return near, await accepter.accept_stream()


async def exactly(stream: Any, size: int) -> bytes:
    """`size` bytes of a stream."""
    data = bytearray()
    while len(data) < size:
        data += await stream.read(size - len(data))
    return bytes(data)


async def echo(stream: Any) -> None:
    """Give back what comes, then end."""
    with suppress(MuxedStreamError):
        while True:
            await stream.write(await stream.read(65536))


async def serve(muxer: Any) -> None:
    """Echo on every stream."""
    async with trio.open_nursery() as nursery:
        with suppress(MuxedConnUnavailable):
            while True:
                nursery.start_soon(echo, await muxer.accept_stream())


async def there_and_back(muxer: Any, data: bytes = b"hello") -> None:
    """One echo on a stream of its own."""
    stream = await muxer.open_stream()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.write, data)
        assert await exactly(stream, len(data)) == data
    await stream.close()
