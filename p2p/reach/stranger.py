"""A connection to a peer as nobody that it knows: fresh TCP, under an identity made for this one connection.

That is what a stranger's connection looks like, and so the only kind that shows whether strangers get through: one
that stands already, or one that the peer's router let in because the peer had called first, shows nothing.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import trio
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.protocol_muxer.exceptions import MultiselectClientError
from libp2p.protocol_muxer.multiselect_client import MULTISELECT_PROTOCOL_ID
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.utils import encode_delim
from libp2p.utils.varint import read_varint_prefixed_bytes_limited

from .. import bounds
from ..addresses import parse_peer
from ..noise.transport import NoiseTransport
from ..streams import ByteStream, Channel
from ..yamux.connection import Yamux
from .places import IP


@asynccontextmanager
async def channel_of_a_stranger(ip: IP, port: int, peer_id: str, protocol: str) -> AsyncIterator[Channel]:
    """A channel to the peer on a connection made anew. It raises what TCP, noise, yamux and negotiation raise."""
    socket = trio.socket.socket(trio.socket.AF_INET6 if ip.version == 6 else trio.socket.AF_INET)
    try:
        await socket.connect((str(ip), port))
    except BaseException as error:
        socket.close()
        if isinstance(error, OSError) and error.errno:  # trio's words name the address, which whoever asked knows
            raise OSError(os.strerror(error.errno).lower()) from None
        raise
    tcp = trio.SocketStream(socket)
    try:
        raw, peer = RawConnection(TrioTCPStream(tcp), True), parse_peer(peer_id)
        await _select(NOISE, raw)
        secured = await NoiseTransport(create_new_key_pair()).secure_outbound(raw, peer)
        await _select(TProtocol(YAMUX), secured)
        muxed = Yamux(secured, peer, True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(muxed.start)
            await muxed.event_started.wait()
            stream = await muxed.open_stream()
            await _select(TProtocol(protocol), stream)
            yield Channel(cast(ByteStream, stream), peer_id)
            await muxed.close()
            nursery.cancel_scope.cancel()
    finally:
        with suppress(OSError), trio.CancelScope(shield=True):
            await trio.aclose_forcefully(tcp)


async def _select(protocol: TProtocol, over: ReadWriteCloser) -> None:
    """Agree on a protocol. The library's own way reads whatever length the other side says."""
    for line in (MULTISELECT_PROTOCOL_ID, protocol):
        await over.write(encode_delim(line.encode()))
        if await read_varint_prefixed_bytes_limited(over, bounds.MULTISTREAM_LINE) != line.encode() + b"\n":
            raise MultiselectClientError(f"no peer of this network answers there: it does not speak {protocol}")
