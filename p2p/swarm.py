"""The library's swarm with our own noise and yamux only, a doorkeeper, and with six of its defects closed.

A slot for an incoming connection is given back when that connection ends (the library keeps it for ever, and after
some hundred connections it accepts none). A stream whose opening is cancelled is not leaked. A connection that
comes while another to the same peer is closed is not forgotten. A peer that does not read cannot keep the listeners
open past the end. The far end of an IPv6 connection is known. And nothing is dialled that this peer did not ask for.
"""

from __future__ import annotations

import logging
import os

import trio
from libp2p.abc import IMuxedConn, INetConn, INetStream, IRawConnection, ISecureConn
from libp2p.connection_types import ConnectionType
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.trio import TrioTCPStream
from libp2p.network import swarm as library
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader

from wire.keys import NodeKey

from . import bounds
from .addresses import Multiaddr
from .identity import BoundedPeerStore
from .negotiation import Negotiator
from .noise.transport import NoiseTransport
from .standing.doorkeeper import Caller, Doorkeeper
from .standing.ledger import Ledger
from .yamux.connection import Yamux

log = logging.getLogger(__name__)

library._HAPPY_EYEBALLS_DELAY = 0  # else every dial sleeps 250 ms, successful ones too


def _far_end(stream: TrioTCPStream) -> tuple[str, int] | None:
    """Host and port of the peer. The library takes no name but one of two parts, and an IPv6 one has four."""
    if stream._cached_remote_address is None:  # what is known once stays known when the socket is closed
        try:
            host, port = stream.stream.socket.getpeername()[:2]
        except (AttributeError, OSError, ValueError):  # not connected any more, or no socket at all
            return None
        stream._cached_remote_address = host.removeprefix("::ffff:").partition("%")[0], port
    return stream._cached_remote_address


TrioTCPStream.get_remote_address = _far_end  # type: ignore[method-assign,assignment]


class _NoAutoConnector(AutoConnector):
    """Whom to know is decided here, by the bootstrap and by use, not by whatever stands in the peer store."""

    async def maybe_connect(self) -> None:
        await trio.lowlevel.checkpoint()

    async def run_background_task(self, nursery: trio.Nursery) -> None:  # noqa: ARG002 — the library's signature
        await trio.lowlevel.checkpoint()


class _Muxer(MuxerMultistream):
    """Negotiates yamux, ours: the library constructs its own whatever its options say."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__({TProtocol(YAMUX): Yamux})
        self._ledger = ledger

    async def new_conn(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        await self.select_transport(conn)
        return Yamux(conn, peer_id, conn.is_initiator, ledger=self._ledger)


class SafeSwarm(library.Swarm):
    """A swarm that survives cancelled openings and many connections, and whose doorkeeper decides on each."""

    door: Doorkeeper  # this and the next are given by `open_swarm`
    _calling: dict[Caller, trio.CancelScope]  # that have not said yet who they are
    expecting: dict[tuple[str, int] | None, ID]  # peers whose connections from there are taken as if we had dialled

    async def _handle_inbound_connection(self, read_write_closer: ReadWriteCloser, maddr: Multiaddr) -> None:
        far = read_write_closer.get_remote_address()
        verdict = self.door.knock(far[0] if far else "", trio.current_time())
        for caller in verdict.cut:
            self._calling.pop(caller).cancel()
        raw = RawConnection(read_write_closer, False)
        try:
            if verdict.caller is not None:
                muxed = await self._introduced(raw, maddr, verdict.caller)
                await muxed.event_closed.wait()  # type: ignore[attr-defined]  # yamux has it, the interface does not
        except Exception:  # a stranger's handshake fails in many ways; each costs it its connection and us nothing
            library.logger.debug("incoming connection on %s failed", maddr, exc_info=True)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
                await raw.close()

    async def _introduced(self, raw: RawConnection, maddr: Multiaddr, caller: Caller) -> IMuxedConn:
        self._calling[caller] = trio.CancelScope()
        try:
            with self._calling[caller]:
                # A hole is being punched towards there, and the two sides agreed on who plays the one that dialled.
                if (peer := self.expecting.get(raw.get_remote_address())) is not None:
                    return (await self.upgrade_outbound_raw_conn(raw, peer)).muxed_conn
                return await self.upgrade_inbound_raw_conn(raw, maddr)
            raise SwarmException("it gave way to newer ones before it had said who it is")
        finally:
            self._calling.pop(caller, None)
            self.door.settled(caller)

    async def add_conn(self, muxed_conn: IMuxedConn, direction: str = "unknown") -> SwarmConn:
        verdict = self.door.enter(
            muxed_conn,
            str(muxed_conn.peer_id),
            _address(muxed_conn),
            direction != "inbound",
            trio.current_time(),
        )
        if verdict.rule is not None:
            await muxed_conn.close()
            raise SwarmException(f"peer {muxed_conn.peer_id} is not let in: {verdict.rule}")
        for guest in verdict.leave:
            self.manager.run_task(self._send_away, guest.key)
        try:
            return await super().add_conn(muxed_conn, direction)
        except BaseException:  # cancelled, too: its place at the door is given back; raised on
            self.door.left(muxed_conn)
            raise

    def remove_conn(self, swarm_conn: SwarmConn) -> None:
        super().remove_conn(swarm_conn)
        self.door.left(swarm_conn.muxed_conn)

    async def _send_away(self, muxed_conn: IMuxedConn) -> None:
        for connection in self.get_connections(muxed_conn.peer_id):
            if connection.muxed_conn is muxed_conn:
                await self._end(connection)
                return
        await muxed_conn.close()  # it is not registered yet, and will find itself closed

    async def adopt(self, connection: IRawConnection, peer: ID | None) -> INetConn:
        """Secure a connection that came about in another way than by dialling or listening, and take it in.

        `peer`: who is expected there; this side then plays the one that dialled. None: the other side does.
        """
        try:
            if peer is not None:
                return await self.upgrade_outbound_raw_conn(connection, peer)
            muxed = await self.upgrade_inbound_raw_conn(connection, connection.get_transport_addresses()[0])
        except BaseException:  # cancelled, too: nobody has the connection yet who could close it; raised on
            with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
                await connection.close()
            raise
        for known in self.get_connections(muxed.peer_id):
            if known.muxed_conn is muxed:
                return known
        raise SwarmException("the connection ended while it began")

    def is_direct(self, peer_id: ID) -> bool:
        """Whether an open connection to the peer stands that no relay carries."""
        return any(
            not connection.is_closed and connection.get_connection_type() is ConnectionType.DIRECT
            for connection in self.get_connections(peer_id)
        )

    def surplus(self, peer_id: ID) -> list[INetConn]:
        """Direct connections to the peer that are one too many, as both sides see it.

        Where each dialled the other at once, or a hole was punched meanwhile, the favoured one is to stay.
        """
        direct = [
            connection
            for connection in self.get_connections(peer_id)
            if not connection.is_closed and connection.get_connection_type() is ConnectionType.DIRECT
        ]
        other = [connection for connection in direct if not self._is_favoured(connection)]
        return other if len(other) < len(direct) else []

    def _is_favoured(self, connection: INetConn) -> bool:
        """Whether the side with the smaller id dialled it, which both sides know alike."""
        smaller = self.get_peer_id().to_bytes() < connection.muxed_conn.peer_id.to_bytes()
        return smaller is (connection.direction is Direction.OUTBOUND)  # type: ignore[attr-defined]  # the library's has it

    def _best_connection(self, connections: list[INetConn]) -> INetConn:
        # The library goes by streams alone, so that the two sides would fill a connection each, and neither rest.
        def rank(connection: INetConn) -> tuple[bool, bool, int]:
            direct = connection.get_connection_type() is ConnectionType.DIRECT
            return direct, self._is_favoured(connection), len(connection.get_streams())

        return max(connections, key=rank)

    async def close(self) -> None:
        # The library ends one connection after the other, then its listeners, whose tasks are the whole program's: cut
        # off at a peer that does not read, it would go on accepting. Each connection's end is bounded in time.
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for connection in self.get_connections():
                    nursery.start_soon(self._end, connection)
            for listener in tuple(self.listeners.values()):
                await listener.close()
        await super().close()

    async def _end(self, connection: INetConn) -> None:
        try:
            await connection.close()
        except Exception:  # a connection ends in many ways, none of which may keep the others from ending
            log.debug("a connection did not end well", exc_info=True)

    async def close_peer(self, peer_id: ID) -> None:
        # The library forgets all of a peer's connections afterwards; one that came meanwhile would live on unknown.
        for connection in tuple(self.get_connections(peer_id)):
            self.cleanup_connection_health(peer_id, connection)
            await connection.close()

    async def new_stream(self, peer_id: ID) -> INetStream:
        if not self.get_connections(peer_id):
            await self.dial_peer(peer_id)
        # No round trip happens in here, so a cancelled caller waits for a write at most; it then resets the stream,
        # which without the shield neither side would ever forget.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.OPEN_TIMEOUT):
            return await super().new_stream(peer_id)
        raise SwarmException(f"no stream to {peer_id} within {bounds.OPEN_TIMEOUT:.0f} s")


def _address(muxed_conn: IMuxedConn) -> str:
    """The IP address of the peer's end, empty over a relay."""
    if muxed_conn.get_connection_type() is ConnectionType.RELAYED:
        return ""
    far = muxed_conn.get_remote_address()  # type: ignore[attr-defined]  # yamux has it, the interface does not
    return far[0] if far else ""


def open_swarm(key: NodeKey, door: Doorkeeper, ledger: Ledger) -> SafeSwarm:
    """A swarm, not yet running, that speaks TCP, noise and yamux as `key`."""
    if "LIBP2P_DEBUG" not in os.environ:  # it logs what strangers do as its own errors; ours say what matters of that
        logging.getLogger("libp2p").setLevel(logging.CRITICAL)
    pair = create_new_key_pair(key.secret)
    peer_id = ID.from_pubkey(pair.public_key)
    store = BoundedPeerStore(peer_id)
    store.add_key_pair(peer_id, pair)
    upgrader = TransportUpgrader({NOISE: NoiseTransport(pair)}, {})
    upgrader.muxer_multistream = _Muxer(ledger)
    for step in (upgrader.security_multistream, upgrader.muxer_multistream):
        step._selector.multiselect_client = Negotiator()
    swarm = SafeSwarm(
        peer_id,
        store,
        upgrader,
        [TCP()],
        retry_config=RetryConfig(max_retries=0),
        connection_config=ConnectionConfig(
            # The doorkeeper decides; the library, which would count those that are just leaving, never comes to it.
            max_connections=2 * bounds.CONNECTIONS,
            min_connections=0,
            low_watermark=2 * bounds.CONNECTIONS,
            high_watermark=2 * bounds.CONNECTIONS,
            max_connections_per_peer=2 * bounds.CONNECTIONS,
            dial_timeout=bounds.DIAL_TIMEOUT,
            inbound_upgrade_timeout=bounds.HANDSHAKE_TIMEOUT,
            inbound_stream_protocol_negotiation_timeout=bounds.NEGOTIATION_TIMEOUT,
        ),
    )
    swarm.door, swarm._calling, swarm.expecting = door, {}, {}
    swarm.auto_connector = _NoAutoConnector(swarm)
    return swarm
