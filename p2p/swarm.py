"""The library's swarm with our own noise and yamux only, and with five of its defects closed.

A slot for an incoming connection is given back when that connection ends (the library keeps it for ever, and after
some hundred connections it accepts none). A stream whose opening is cancelled is not leaked. A connection that
comes while another to the same peer is closed is not forgotten. A peer that does not read cannot keep the listeners
open past the end. And nothing is dialled that this peer did not ask for.
"""

from __future__ import annotations

import logging
import os

import trio
from libp2p.abc import INetConn, INetStream
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.io.abc import ReadWriteCloser
from libp2p.metrics.swarm import SwarmEvent
from libp2p.network import swarm as library
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer import muxer_multistream
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader

from wire.keys import NodeKey

from . import bounds
from .addresses import Multiaddr
from .noise import NoiseTransport
from .yamux import Yamux

log = logging.getLogger(__name__)

# The library constructs its own Yamux whatever its options say, so the name it uses is bound anew.
muxer_multistream.Yamux = Yamux  # type: ignore[attr-defined,assignment]  # a name it only imports
library._HAPPY_EYEBALLS_DELAY = 0  # else every dial sleeps 250 ms, successful ones too


class _NoAutoConnector(AutoConnector):
    """Whom to know is decided here, by the bootstrap and by use, not by whatever stands in the peer store."""

    async def maybe_connect(self) -> None:
        await trio.lowlevel.checkpoint()

    async def run_background_task(self, nursery: trio.Nursery) -> None:  # noqa: ARG002 — the library's signature
        await trio.lowlevel.checkpoint()


class SafeSwarm(library.Swarm):
    """A swarm that survives cancelled openings and many connections."""

    async def _do_handle_inbound_connection(
        self,
        read_write_closer: ReadWriteCloser,
        maddr: Multiaddr,
        failure_event: SwarmEvent,  # noqa: ARG002 — the library's signature
    ) -> None:
        raw = RawConnection(read_write_closer, False)
        try:
            muxed = await self.upgrade_inbound_raw_conn(raw, maddr)
            await muxed.event_closed.wait()  # type: ignore[attr-defined]  # yamux has it, the interface does not
        except Exception:  # a stranger's handshake fails in many ways; each costs it its connection and us nothing
            library.logger.debug("incoming connection on %s failed", maddr, exc_info=True)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
                await raw.close()

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
        raise library.SwarmException(f"no stream to {peer_id} within {bounds.OPEN_TIMEOUT:.0f} s")


def open_swarm(key: NodeKey) -> SafeSwarm:
    """A swarm, not yet running, that speaks TCP, noise and yamux as `key`."""
    if "LIBP2P_DEBUG" not in os.environ:  # it logs what strangers do as its own errors; ours say what matters of that
        logging.getLogger("libp2p").setLevel(logging.CRITICAL)
    pair = create_new_key_pair(key.secret)
    peer_id = ID.from_pubkey(pair.public_key)
    store = PeerStore()
    store.add_key_pair(peer_id, pair)
    swarm = SafeSwarm(
        peer_id,
        store,
        TransportUpgrader(
            secure_transports_by_protocol={NOISE: NoiseTransport(pair)},
            muxer_transports_by_protocol={TProtocol(YAMUX): Yamux},
        ),
        [TCP()],
        retry_config=RetryConfig(max_retries=0),
        connection_config=ConnectionConfig(
            max_connections=bounds.CONNECTIONS,
            min_connections=0,
            low_watermark=bounds.CONNECTIONS * 3 // 4,
            high_watermark=bounds.CONNECTIONS * 7 // 8,
            max_connections_per_peer=bounds.CONNECTIONS_PER_PEER,
            dial_timeout=bounds.DIAL_TIMEOUT,
        ),
    )
    swarm.auto_connector = _NoAutoConnector(swarm)
    return swarm
