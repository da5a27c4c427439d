"""The relay: takes reservations, joins two streams to a circuit, and carries bytes between them within its limits.

It trusts nobody's word about who he is: a peer is who its connection proved it to be. It carries what it cannot read,
for the two ends have noise between them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import trio
from libp2p.abc import INetConn, INetStream
from libp2p.connection_types import ConnectionType
from libp2p.crypto.keys import PrivateKey
from libp2p.peer.id import ID

from wire.cid import content_hash
from wire.errors import ErrorCode, RemoteError
from wire.network import Network

from .. import bounds
from ..guard import SafeHost, finish, reset
from ..standing.ranges import Ranges
from ..yamux.stream import YamuxStream
from .limits import OURS, STRANGERS, Circuit, Limits, Relaying
from .messages import (
    HOP,
    STOP,
    Answer,
    Connect,
    Reserve,
    Status,
    hop_bytes,
    read_hop,
    read_stop,
    receive,
    send,
    stop_bytes,
)
from .voucher import voucher

log = logging.getLogger(__name__)


def relay_key(network: Network) -> bytes:
    """What the network's relays provide in the DHT, so that those who need one find them."""
    return content_hash(f"hallmark relay {network.name}".encode())


class Relay:
    """Serves hop streams.

    `addresses`: this peer's own, whole. `is_reachable`: whether strangers can dial this peer; nobody gets a reservation
    while they cannot.
    """

    def __init__(
        self,
        host: SafeHost,
        network: Network,
        addresses: Callable[[], Sequence[str]],
        is_reachable: Callable[[], bool],
        ranges: Ranges,
    ) -> None:
        self._host, self._addresses, self._is_reachable = host, addresses, is_reachable
        self._ranges = ranges
        self._scopes: dict[Circuit, trio.CancelScope] = {}
        self._key = relay_key(network)
        self._network = network
        self._limits = Limits()
        host.set_stream_handler(HOP, self._serve)

    def relaying(self) -> Relaying:
        """What is relayed now, and was since the start."""
        return self._limits.summary(trio.current_time())

    def holders(self) -> list[str]:
        """The peers that are reached over this one."""
        return self._limits.holders()

    def metered(self, peer_id: str) -> int:
        """Bytes that were carried from and to the peer."""
        return self._limits.metered(peer_id)

    async def announce(self, provide: Callable[[bytes], Awaitable[object]]) -> None:
        """Say in the DHT that this peer relays, for ever. `provide` announces a key."""
        while True:
            if self._is_reachable():
                await provide(self._key)
            await trio.sleep(bounds.RELAY_LIFE)

    def disconnected(self, connection: INetConn) -> None:
        """A connection ended; a reservation lasts no longer than the connections that a circuit could use."""
        peer = connection.muxed_conn.peer_id
        if not any(_is_direct(other) for other in self._host.swarm.get_connections(peer) if other is not connection):
            self._limits.gone(str(peer))

    def _is_ours(self, peer: str) -> bool:
        # As it says itself: what hangs on it is how much may be carried, which is bounded either way.
        return self._host.is_of(self._network, ID.from_string(peer))

    async def _serve(self, stream: INetStream) -> None:
        peer = str(stream.muxed_conn.peer_id)
        if not self._limits.hears(peer, trio.current_time()):
            await reset(stream)
            return
        try:
            await self._answer(stream, peer)
        except RemoteError as error:
            log.debug("%s asked to relay: %s", peer, error)
            with suppress(RemoteError):  # it may be gone, and hear no more
                if error.code is ErrorCode.BAD_FRAME:
                    await self._tell(stream, Status.MALFORMED_MESSAGE)
        await finish(stream)

    async def _answer(self, stream: INetStream, peer: str) -> None:
        message = await receive(stream, read_hop)
        if not _is_direct(stream.muxed_conn):
            await self._tell(stream, Status.PERMISSION_DENIED)  # a relay behind a relay
        elif isinstance(message, Reserve):
            await self._reserve(stream, peer)
        elif isinstance(message, Connect):
            await self._connect(stream, peer, message.peer)
        else:
            await self._tell(stream, Status.UNEXPECTED_MESSAGE)

    async def _tell(self, stream: INetStream, status: Status) -> None:
        await send(stream, hop_bytes(Answer(status)))

    async def _reserve(self, stream: INetStream, peer: str) -> None:
        now = trio.current_time()
        if not self._is_reachable():
            await self._tell(stream, Status.RESERVATION_REFUSED)
            return
        where = _address(stream)
        status = self._limits.reserve(peer, self._ranges.narrow(where), now, wide=self._ranges.wide(where))
        if status is not Status.OK:
            await self._tell(stream, status)
            return
        expires = int(time.time() + bounds.RELAY_LIFE)
        own = tuple(text for text in self._addresses() if "/p2p-circuit" not in text)[: bounds.RELAY_ADDRESSES]
        key: PrivateKey = self._host.get_private_key()
        proof = voucher(key, str(self._host.get_id()), peer, expires)
        limit = OURS if self._is_ours(peer) else STRANGERS
        await send(stream, hop_bytes(Answer(Status.OK, limit, expires, own, proof)))

    async def _connect(self, stream: INetStream, source: str, target: str) -> None:
        where, now = _address(stream), trio.current_time()
        circuit = self._limits.connect(
            source, target, self._ranges.narrow(where), self._is_ours(target), now, wide=self._ranges.wide(where)
        )
        if isinstance(circuit, Status):
            await self._tell(stream, circuit)
            return
        if (gone := circuit.instead_of) is not None:
            self._scopes[gone].cancel()
        self._scopes[circuit] = trio.CancelScope()
        try:
            with self._scopes[circuit]:
                await self._serve_circuit(circuit, stream)
        finally:
            del self._scopes[circuit]
            self._limits.ended(circuit)
            await reset(stream)

    async def _serve_circuit(self, circuit: Circuit, stream: INetStream) -> None:
        other = await self._stop(circuit)
        if other is None:
            await self._tell(stream, Status.CONNECTION_FAILED)
            return
        try:
            await send(stream, hop_bytes(Answer(Status.OK, circuit.limit)))
            self._limits.opened()
            await self._join(circuit, _inner(stream), _inner(other))
        finally:
            await reset(other)

    async def _stop(self, circuit: Circuit) -> INetStream | None:
        """A stream to the target that it agreed to; None when there is none."""
        other: INetStream | None = None
        try:
            with trio.fail_after(bounds.RELAY_TIMEOUT):
                other = await self._host.new_stream(ID.from_string(circuit.target), [STOP])
                if _is_direct(other.muxed_conn):
                    await send(other, stop_bytes(Connect(circuit.source, circuit.limit)))
                    answer = await receive(other, read_stop)
                    if isinstance(answer, Answer) and answer.status == Status.OK:
                        return other
                    log.debug("%s took no circuit from %s: %s", circuit.target, circuit.source, answer)
        except Exception as error:  # streams are opened through the library, which fails in kinds of its own
            log.debug("no circuit to %s: %s", circuit.target, error)
        except BaseException:  # cancelled: the target must not be left with half a circuit; raised on
            if other is not None:
                await reset(other)
            raise
        if other is not None:
            await reset(other)
        return None

    async def _join(self, circuit: Circuit, source: YamuxStream, target: YamuxStream) -> None:
        for side in (source, target):
            side.keep_window(bounds.RELAY_WINDOW)
        with trio.move_on_at(circuit.ends):
            async with trio.open_nursery() as nursery:

                async def carry(way: int, this: YamuxStream, that: YamuxStream) -> None:
                    try:
                        await self._carry(circuit, way, this, that)
                    except Exception as error:  # either stream ended, in one of the muxer's ways
                        log.debug("a circuit to %s ended: %s", circuit.target, error)
                        nursery.cancel_scope.cancel()

                nursery.start_soon(carry, 0, source, target)
                nursery.start_soon(carry, 1, target, source)

    async def _carry(self, circuit: Circuit, way: int, this: YamuxStream, that: YamuxStream) -> None:
        while data := await this.read_or_end(bounds.READ):
            wait = self._limits.carried(circuit, way, len(data), trio.current_time())
            if wait is None:
                raise RemoteError(ErrorCode.REFUSED, "it has carried all that it may")
            with trio.fail_after(bounds.WRITE_TIMEOUT):
                await that.write(data)
            await trio.sleep(wait)
        await that.close()


def _is_direct(connection: object) -> bool:
    return connection.get_connection_type() is ConnectionType.DIRECT  # type: ignore[attr-defined]  # both kinds have it


def _address(stream: INetStream) -> str:
    found = stream.muxed_conn.get_transport_addresses()
    return str(found[0]) if found else ""


def _inner(stream: INetStream) -> YamuxStream:
    inner: YamuxStream = stream.muxed_stream  # type: ignore[attr-defined]  # its interface lacks it
    return inner
