"""Relayed connections: a circuit's stream as a link for noise and yamux, and how such connections come about.

`Circuits` dials them (a hop stream to the relay) and takes them (a stop stream from it). A relay sees sealed bytes
only, and can lie about nothing but whether it carries them: who is at the other end is proved by noise.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import trio
from libp2p.abc import INetConn, INetStream, IRawConnection
from libp2p.connection_types import ConnectionType
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from wire.errors import ErrorCode, RemoteError

from .. import bounds
from ..addresses import Multiaddr, parse_peer, relay_of
from ..guard import SafeHost, finish, reset
from ..link import Link, closed
from ..yamux.stream import YamuxStream
from .messages import HOP, STOP, Answer, Connect, Status, hop_bytes, read_hop, read_stop, receive, send, stop_bytes

log = logging.getLogger(__name__)


class CircuitLink(Link):
    """A link over a stream of our own muxer's: what can be sent is sent at once, as over a socket."""

    over = True

    def __init__(self, stream: YamuxStream) -> None:
        self._stream = stream

    def push(self, data: memoryview) -> int:
        """Send now what can be sent without waiting; how many bytes that was."""
        try:
            return self._stream.push(data)
        except Exception as error:  # the muxer ends streams in kinds of its own; all mean that the link is gone
            raise closed(error) from error

    async def flush(self, pending: bytearray) -> None:
        """Wait until some of `pending` can be sent, send it and remove it."""
        while pending:
            # A copy: where the link below breaks meanwhile, its error keeps a view of what it was to send.
            sent = self.push(memoryview(bytes(pending[: bounds.READ])))
            if sent:
                del pending[:sent]
                await trio.lowlevel.checkpoint()
                return
            try:
                await self._stream.pushable()
            except Exception as error:  # as above
                raise closed(error) from error

    async def receive(self, space: memoryview, more: bool) -> int:  # noqa: ARG002 — the interface's
        """Wait for bytes and write them into `space`; how many, 0 at the end."""
        try:
            data = await self._stream.read_or_end(len(space))
        except Exception as error:  # as above
            raise closed(error) from error
        space[: len(data)] = data
        return len(data)


class Circuit(IRawConnection):
    """One side of a circuit, before noise. `address`: the relay's, up to its `p2p-circuit`."""

    def __init__(self, stream: INetStream, initiator: bool, address: Multiaddr) -> None:
        self.is_initiator, self._stream, self._address = initiator, stream, address
        inner: YamuxStream = stream.muxed_stream  # type: ignore[attr-defined]  # its interface lacks it
        self._link = CircuitLink(inner)

    @property
    def link(self) -> CircuitLink:
        """What noise stands on."""
        return self._link

    async def read(self, n: int | None = None) -> bytes:
        """One to `n` bytes; b"" at the end."""
        data = bytearray(bounds.READ if n is None else min(n, bounds.READ))  # `n` may be what a stranger says
        received = await self._link.receive(memoryview(data), False)
        return bytes(data[:received])

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        pending = bytearray(data)
        while pending:
            await self._link.flush(pending)

    async def close(self) -> None:
        """End our direction of the stream: what was written still arrives."""
        await finish(self._stream)

    def get_remote_address(self) -> tuple[str, int] | None:
        """None: where the other side is, the relay alone knows."""
        return None

    def get_transport_addresses(self) -> list[Multiaddr]:
        """The circuit's address."""
        return [self._address]

    def get_connection_type(self) -> ConnectionType:
        """Relayed: no proof of anybody's being reachable."""
        return ConnectionType.RELAYED


class Circuits:
    """Dials peers over relays, and takes those who come over one that holds a reservation of ours.

    `connect` brings about a connection to a relay. `holds`: whether we have a reservation with it.
    """

    def __init__(
        self,
        host: SafeHost,
        connect: Callable[[str, Sequence[Multiaddr]], Awaitable[object]],
        holds: Callable[[str], bool],
    ) -> None:
        self._host, self._swarm, self._connect, self._holds = host, host.swarm, connect, holds
        self._shaking: Counter[str] = Counter()
        host.set_stream_handler(STOP, self._accept)

    async def dial(self, address: Multiaddr, peer: ID) -> INetConn:
        """A connection to `peer` over the relay in `address`. RemoteError (UNREACHABLE) says why there is none."""
        relay, direct = relay_of(address)
        if relay == str(self._host.get_id()):
            raise RemoteError(ErrorCode.UNREACHABLE, "this peer is that relay itself")
        if not self._swarm.is_direct(parse_peer(relay)):
            await self._connect(relay, [direct])
        stream = await open_direct(self._host, relay, HOP)
        try:
            await send(stream, hop_bytes(Connect(str(peer))))
            answer = await receive(stream, read_hop)
            if not isinstance(answer, Answer) or answer.status != Status.OK:
                raise RemoteError(ErrorCode.UNREACHABLE, _refusal(relay, answer))
            return await self._swarm.adopt(Circuit(stream, True, address), peer)
        except BaseException:  # cancelled, too: an open stream would hold the relay's circuit; raised on
            await reset(stream)
            raise

    async def _accept(self, stream: INetStream) -> None:
        """Take what may be a circuit, and stay with it to its end."""
        relay = str(stream.muxed_conn.peer_id)
        said: object = None
        self._shaking[relay] += 1
        try:
            said = await receive(stream, read_stop)
            status = self._judge(stream, relay, said)
            await send(stream, stop_bytes(Answer(status)))
            if status is not Status.OK:
                await finish(stream)
                return
            assert isinstance(said, Connect)  # else it was judged otherwise
            connection = await self._adopt(stream, relay, said.peer)
        except Exception as error:  # a handshake with a stranger fails in many ways; each costs it this stream
            log.debug("a circuit of %s (%s) came to nothing: %s", relay, said, error)
            await reset(stream)
            return
        except BaseException:  # cancelled: the relay must not wait for a stream that nobody has; raised on
            await reset(stream)
            raise
        finally:
            self._shaking[relay] -= 1
            if not self._shaking[relay]:
                del self._shaking[relay]
        try:
            await connection.event_closed.wait()  # type: ignore[attr-defined]  # the library's has it
        finally:
            await reset(stream)

    def _judge(self, stream: INetStream, relay: str, said: object) -> Status:
        if not isinstance(said, Connect):
            return Status.UNEXPECTED_MESSAGE
        if stream.muxed_conn.get_connection_type() is not ConnectionType.DIRECT or not self._holds(relay):
            return Status.PERMISSION_DENIED
        return Status.OK if self._shaking[relay] <= bounds.RELAY_SHAKING else Status.RESOURCE_LIMIT_EXCEEDED

    async def _adopt(self, stream: INetStream, relay: str, claimed: str) -> INetConn:
        found = stream.muxed_conn.get_transport_addresses()
        address = Multiaddr(f"{found[0]}/p2p/{relay}/p2p-circuit")
        connection = await self._swarm.adopt(Circuit(stream, False, address), None)
        if str(connection.muxed_conn.peer_id) != claimed:
            await connection.close()
            raise RemoteError(ErrorCode.REFUSED, f"the relay said that it is {claimed}")
        return connection


async def open_direct(host: SafeHost, peer_id: str, protocol: TProtocol) -> INetStream:
    """A stream to the peer over a direct connection that stands; RemoteError (LINK_LOST) when there is none."""
    text = f"no stream to {peer_id} could be opened"
    try:
        with trio.fail_after(bounds.OPEN_TIMEOUT):
            stream = await host.new_stream(parse_peer(peer_id), [protocol])
    except trio.TooSlowError:
        raise RemoteError(ErrorCode.TIMEOUT, f"{text} within {bounds.OPEN_TIMEOUT:.0f} s") from None
    except Exception as error:  # negotiation, muxer and link fail in kinds of their own
        raise RemoteError(ErrorCode.LINK_LOST, f"{text} ({error})") from error
    if stream.muxed_conn.get_connection_type() is not ConnectionType.DIRECT:
        await reset(stream)
        raise RemoteError(ErrorCode.LINK_LOST, f"{text}: it is reached over a relay only")
    return stream


def _refusal(relay: str, answer: object) -> str:
    status = answer.status if isinstance(answer, Answer) else 0
    reasons = {
        Status.NO_RESERVATION: "it has no reservation there",
        Status.RESOURCE_LIMIT_EXCEEDED: "the relay is full",
        Status.PERMISSION_DENIED: "the relay refuses",
        Status.CONNECTION_FAILED: "the relay does not reach it",
    }
    known = next((why for code, why in reasons.items() if code == status), f"the relay answered {status}")
    return f"{known} (relay …{relay[-8:]})"
