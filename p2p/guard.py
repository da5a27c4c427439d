"""The library's host behind a guard: no stream, of whatever protocol, may end more than itself.

In py-libp2p an exception that leaves any stream handler tears down the swarm. Here every incoming stream, those of
the library's own protocols and those not yet negotiated among them, is counted, bounded and fenced in one place.
"""

# ruff: noqa: ARG002 — the library's interface asks for the arguments
from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

import trio
from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from libp2p.host.basic_host import BasicHost
from libp2p.peer.id import ID

from . import bounds
from .addresses import Multiaddr, announced
from .swarm import SafeSwarm

log = logging.getLogger(__name__)


class SafeHost(BasicHost):
    """A host that fences its streams, and that says when it has learnt what a peer speaks."""

    def __init__(self, swarm: SafeSwarm, admits: Callable[[str], bool], identified: Callable[[str], None]) -> None:
        super().__init__(
            swarm,
            addrs_factory=lambda candidates: announced(candidates),
            # What strangers say they see us as is no ground for announcing it.
            disable_identify_address_discovery=True,
        )
        self.swarm = swarm
        self._admits, self._identified = admits, identified
        self._streams: Counter[str] = Counter()

    async def _swarm_stream_handler(self, net_stream: INetStream) -> None:
        peer = str(net_stream.muxed_conn.peer_id)
        full = self._streams[peer] >= bounds.STREAMS_PER_PEER or self._streams.total() >= bounds.STREAMS
        if full or not self._admits(peer):
            await reset(net_stream)
            return
        self._streams[peer] += 1
        try:
            await super()._swarm_stream_handler(net_stream)
        except Exception:  # this is the fence: a peer's bytes may have provoked anything
            log.warning("a stream of %s (%s) failed", peer, net_stream.get_protocol(), exc_info=True)
            await reset(net_stream)
        finally:
            self._streams[peer] -= 1
            if not self._streams[peer]:
                del self._streams[peer]

    async def _identify_task_entry(self, peer_id: ID, reason: str) -> None:
        try:
            await super()._identify_task_entry(peer_id, reason)
            if self.get_network().get_connections(peer_id):
                self._identified(str(peer_id))
        except Exception:  # a system task of trio's: whatever left it would end the program
            log.warning("identifying %s failed", peer_id, exc_info=True)


class Watch(INotifee):
    """Tells of connections as they come and go."""

    def __init__(self, connected: Callable[[INetConn], None], disconnected: Callable[[INetConn], None]) -> None:
        self._connected, self._disconnected = connected, disconnected

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        self._connected(conn)

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        self._disconnected(conn)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        pass

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        pass

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        pass

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        pass


async def reset(stream: INetStream) -> None:
    """End both directions of the stream, even in a cancelled task. Raises nothing."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
        try:
            await stream.reset()
        except Exception:  # it was broken already, in one of the library's many ways; there is nothing left to end
            log.debug("a stream could not be reset", exc_info=True)
