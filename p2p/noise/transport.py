"""Noise as a libp2p security transport: the same bytes on the wire as the library's, faster, and safe to cancel.

The one idea: sealing and sending are one step without an await. What the socket does not take at once waits in one
queue, in order, and whoever is cancelled meanwhile takes nothing back. So the two sides never disagree on a nonce.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import trio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from libp2p.abc import IRawConnection, ISecureConn, ISecureTransport
from libp2p.connection_types import ConnectionType
from libp2p.crypto.keys import KeyPair, PrivateKey, PublicKey
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID
from libp2p.security.base_session import BaseSession
from libp2p.security.noise.exceptions import InvalidSignature, NoiseFailure, PeerIDMismatchesPubkey
from libp2p.security.noise.messages import SIGNED_DATA_PREFIX, NoiseHandshakePayload

from .. import bounds
from ..addresses import Multiaddr
from ..link import Link, link_of
from .cipher import Bytes, Opener, Sealer
from .handshake import Handshake


class NoiseSession(BaseSession):
    """A secured connection. `send` seals and never waits; `pump` is the one task that sends what was left over.

    The library's `read` and `write` are here too, for the negotiation of the muxer and for muxers of the library's.
    """

    def __init__(
        self,
        connection: IRawConnection,
        link: Link,
        keys: tuple[bytes, bytes],
        *,
        local_peer: ID,
        local_private_key: PrivateKey,
        remote_public_key: PublicKey,
        is_initiator: bool,
    ) -> None:
        super().__init__(
            local_peer=local_peer,
            local_private_key=local_private_key,
            remote_peer=ID.from_pubkey(remote_public_key),
            remote_permanent_pubkey=remote_public_key,
            is_initiator=is_initiator,
        )
        self._connection, self._link = connection, link
        self._sealer, self._opener = Sealer(keys[0], over=link.over), Opener(keys[1])
        self._pending = bytearray()  # sealed, and not yet taken by the socket
        self._unread = b""  # opened, and not yet read
        self._broken: ConnectionClosedError | None = None
        self._flushing = trio.Lock()
        self._work, self._room = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()

    @property
    def full(self) -> bool:
        """Whether so much is queued that data should wait for `room`."""
        return len(self._pending) > bounds.SEND_QUEUE

    def holds_up(self, size: int) -> bool:
        """Whether a write of so many bytes should wait for `room`: a small one, an answer or a vote, does so later."""
        return len(self._pending) > bounds.SEND_QUEUE * (2 if size <= bounds.SMALL_WRITE else 1)

    @property
    def queued(self) -> int:
        """Sealed bytes that the socket has not taken yet."""
        return len(self._pending)

    def send(self, parts: Sequence[Bytes]) -> None:
        """Seal the parts in order and send what can be sent now. ConnectionClosedError when the link is gone."""
        if self._broken is not None:
            raise ConnectionClosedError(str(self._broken), transport="tcp") from self._broken
        if len(self._pending) > bounds.SEND_QUEUE_MOST:
            raise self._break(ConnectionClosedError("the peer asks much and takes no answer", transport="tcp"))
        idle = not self._pending
        for sealed in self._sealer.seal(parts):
            sent = 0
            if not self._pending:
                try:
                    sent = self._link.push(sealed)
                except ConnectionClosedError as error:
                    raise self._break(error) from error.__cause__
            if sent < len(sealed):
                self._pending += sealed[sent:]
        if idle and self._pending:
            self._work.unpark_all()

    async def pump(self) -> None:
        """Send what is queued, for ever; to be run by one task. ConnectionClosedError when the link is gone."""
        while True:
            while self._pending:
                await self.flush()
            await self._work.park()

    async def flush(self) -> None:
        """Send some of what is queued."""
        async with self._flushing:
            if not self._pending:
                return
            try:
                await self._link.flush(self._pending)
            except ConnectionClosedError as error:
                raise self._break(error) from error.__cause__
            if not self.full:
                self._room.unpark_all()

    async def room(self) -> None:
        """Wait until the queue has shrunk or the link is gone; look again afterwards."""
        await self._room.park()

    async def fill(self) -> None:
        """Wait for bytes from the peer. ConnectionClosedError at the end of the link."""
        received = await self._link.receive(self._opener.space(), self._opener.ample)
        if not received:
            raise ConnectionClosedError("the peer closed the connection", transport="tcp")
        self._opener.filled(received)

    def opened(self) -> Iterator[memoryview]:
        """What has come, opened; each view is good only until the next is asked for. NoiseFailure as `Opener`'s."""
        unread, self._unread = self._unread, b""
        if unread:
            yield memoryview(unread)
        yield from self._opener.opened()

    async def read(self, n: int | None = None) -> bytes:
        """One to `n` bytes, all that one message carried when `n` is None. ConnectionClosedError at the end."""
        await trio.lowlevel.checkpoint()
        while not self._unread and n != 0:
            message = next(self._opener.opened(), None)
            if message is None:
                await self.fill()
            else:
                self._unread = bytes(message)
        data = self._unread[:n]
        self._unread = self._unread[len(data) :]
        return data

    async def write(self, data: bytes) -> None:
        """Seal and send; waits until nothing is queued. Cancelled, it is sent all the same, before what comes next."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self.send([data])
        while self._pending:
            await self.flush()
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def close(self) -> None:
        """Close the link; what is still queued is lost."""
        self._break(ConnectionClosedError("the connection was closed here", transport="tcp"))
        await self._connection.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """The peer's host and port."""
        return self._connection.get_remote_address()

    def get_transport_addresses(self) -> list[Multiaddr]:
        """The addresses that the connection really uses."""
        return list(self._connection.get_transport_addresses())

    def get_connection_type(self) -> ConnectionType:
        """Direct or relayed."""
        return self._connection.get_connection_type()

    def _break(self, error: ConnectionClosedError) -> ConnectionClosedError:
        self._broken = self._broken or error
        self._pending.clear()
        self._room.unpark_all()
        self._work.unpark_all()
        return self._broken


class NoiseTransport(ISecureTransport):
    """Secures connections as one peer, in either role. Everything a stranger does wrong raises NoiseFailure."""

    def __init__(self, identity: KeyPair) -> None:
        self._identity = identity
        self._local_peer = ID.from_pubkey(identity.public_key)
        self._static = X25519PrivateKey.generate()  # new at every start; the signature ties it to the peer id
        signed = SIGNED_DATA_PREFIX.encode() + self._static.public_key().public_bytes_raw()
        self._payload = NoiseHandshakePayload(identity.public_key, identity.private_key.sign(signed)).serialize()

    async def secure_inbound(self, conn: IRawConnection) -> ISecureConn:
        """Answer a peer's handshake; whoever it is, it has proved it."""
        return await self._secure(conn, None, initiator=False)

    async def secure_outbound(self, conn: IRawConnection, peer_id: ID) -> ISecureConn:
        """Begin a handshake with the peer `peer_id`; PeerIDMismatchesPubkey when another one answers."""
        return await self._secure(conn, peer_id, initiator=True)

    async def _secure(self, conn: IRawConnection, expected: ID | None, initiator: bool) -> NoiseSession:
        link = link_of(conn)
        try:
            with trio.fail_after(bounds.HANDSHAKE_TIMEOUT):
                session = await self._shake(conn, link, Handshake(self._static, initiator), expected)
        except trio.TooSlowError as error:
            raise NoiseFailure(f"no handshake within {bounds.HANDSHAKE_TIMEOUT:.0f} s") from error
        except ConnectionClosedError as error:
            raise NoiseFailure(f"the connection ended during the handshake ({error})") from error
        return session

    async def _shake(self, conn: IRawConnection, link: Link, shake: Handshake, expected: ID | None) -> NoiseSession:
        if shake.initiator:
            await _send(link, shake.write())
            identity = _identity(shake.read(await _receive(link)), shake.remote_static, expected)
            await _send(link, shake.write(self._payload))
        else:
            shake.read(await _receive(link))
            await _send(link, shake.write(self._payload))
            identity = _identity(shake.read(await _receive(link)), shake.remote_static, expected)
        return NoiseSession(
            conn,
            link,
            shake.keys(),
            local_peer=self._local_peer,
            local_private_key=self._identity.private_key,
            remote_public_key=identity,
            is_initiator=shake.initiator,
        )


def _identity(payload: bytes, static: bytes, expected: ID | None) -> PublicKey:
    """The key that the peer has proved to hold."""
    try:
        said = NoiseHandshakePayload.deserialize(payload)
        proved = said.id_pubkey.verify(SIGNED_DATA_PREFIX.encode() + static, said.id_sig)
    except Exception as error:  # protobuf and five kinds of keys parse a stranger's bytes, each with errors of its own
        raise InvalidSignature(f"the peer's identity cannot be read ({error})") from error
    if not proved:
        raise InvalidSignature("the peer has not signed its handshake key")
    if expected is not None and ID.from_pubkey(said.id_pubkey) != expected:
        raise PeerIDMismatchesPubkey(f"not the peer {expected} but {ID.from_pubkey(said.id_pubkey)} answers there")
    return said.id_pubkey


async def _send(link: Link, message: bytes) -> None:
    pending = bytearray(len(message).to_bytes(2, "big") + message)
    while pending:
        await link.flush(pending)


async def _receive(link: Link) -> bytes:
    size = int.from_bytes(await _exactly(link, 2), "big")
    if size > bounds.HANDSHAKE_MESSAGE:
        raise NoiseFailure(f"a handshake message of {size} bytes; the bound is {bounds.HANDSHAKE_MESSAGE}")
    return await _exactly(link, size)


async def _exactly(link: Link, size: int) -> bytes:
    """Never a byte more: what follows the handshake is not ours to take."""
    data, at = bytearray(size), 0
    with memoryview(data) as view:
        while at < size:
            received = await link.receive(view[at:], False)
            if not received:
                raise ConnectionClosedError("the peer closed the connection", transport="tcp")
            at += received
    return bytes(data)
