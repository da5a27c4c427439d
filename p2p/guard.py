"""The library's host behind a guard: no stream, of whatever protocol, may end more than itself.

In py-libp2p an exception that leaves any stream handler tears down the swarm. Here every incoming stream, those of
the library's own protocols and those not yet negotiated among them, is counted, bounded and fenced in one place.
"""

# ruff: noqa: ARG002 — the library's interface asks for the arguments
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar

import trio
from libp2p.abc import IMuxedConn, INetConn, INetStream, INetwork, INotifee
from libp2p.host.basic_host import BasicHost
from libp2p.identity.identify_push.identify_push import ID_PUSH, identify_push_handler_for, push_identify_to_peer
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.id import ID

from wire.network import Network

from . import bounds
from .addresses import Multiaddr
from .negotiation import Negotiator
from .rates import Rates
from .standing.slots import Slot, Slots
from .swarm import SafeSwarm

log = logging.getLogger(__name__)

# The connection over which this task answers or tells something: what is said of our addresses depends on it.
_over: ContextVar[IMuxedConn | None] = ContextVar("_over", default=None)


class SafeHost(BasicHost):
    """A host that fences its streams, and that says when it has learnt what a peer speaks."""

    circuits: Callable[[], Sequence[str]] = tuple  # our addresses over relays, whole; the library asks before we know
    # Our other addresses, without /p2p: those told over a connection, or, for None, to everybody.
    told: Callable[[IMuxedConn | None], Sequence[str]] = lambda *_: ()
    observed: Callable[[INetConn, Multiaddr], None] = lambda *_: None  # where a peer says it sees us
    changed: Callable[[str], None] = lambda *_: None  # a peer has said anew what it speaks

    def __init__(self, swarm: SafeSwarm, admits: Callable[[str], bool], identified: Callable[[str], None]) -> None:
        # What strangers say they see us as is no ground for announcing it: the library's own discovery is off.
        super().__init__(swarm, disable_identify_address_discovery=True)
        self._observed_addr_manager = _Observations(self)  # type: ignore[assignment]  # what the library calls of it
        self.swarm, self.multiselect_client = swarm, Negotiator()
        self._admits, self._identified = admits, identified
        self.slots, self._serving = Slots(), dict[Slot, trio.CancelScope]()
        self._pushes = Rates(bounds.PUSH_RATE, bounds.PUSH_BURST)
        self._take_push = identify_push_handler_for(self)
        self.set_stream_handler(ID_PUSH, self._on_push)

    def get_addrs(self) -> list[Multiaddr]:
        own = [f"{address}/p2p/{self.get_id()}" for address in self.told(_over.get())]
        return list(map(Multiaddr, dict.fromkeys([*own, *self.circuits()])))

    def get_transport_addrs(self) -> list[Multiaddr]:
        # Where there is nothing to tell, identify would tell these: 0.0.0.0, and what stands behind a router.
        return []

    def listening(self) -> list[Multiaddr]:
        """What the listeners are bound to."""
        return super().get_transport_addrs()

    def speaks(self, peer_id: ID) -> frozenset[str]:
        """The protocols that the peer said it serves; none while it was not asked."""
        try:
            return frozenset(self.get_peerstore().get_protocols(peer_id))
        except Exception:  # the store raises for a peer it does not know, which is an answer like another
            return frozenset()

    def is_of(self, network: Network, peer_id: ID) -> bool:
        """Whether the peer said that it serves protocols of this network."""
        return network.name in self.networks_of(peer_id)

    def networks_of(self, peer_id: ID) -> list[str]:
        """The names of the networks whose protocols the peer said that it serves."""
        parts = [protocol.split("/") for protocol in self.speaks(peer_id)]
        return sorted({part[2] for part in parts if len(part) > 3 and part[1] == "hallmark"})

    async def tell(self, connection: INetConn) -> None:
        """Tell a peer anew what we speak and where we are, as it holds over this connection."""
        over = _over.set(connection.muxed_conn)
        try:
            with trio.move_on_after(bounds.OPEN_TIMEOUT):
                await push_identify_to_peer(self, connection.muxed_conn.peer_id)
        finally:
            _over.reset(over)

    async def _on_push(self, stream: INetStream) -> None:
        if self._pushes.take(str(stream.muxed_conn.peer_id), trio.current_time()):
            await self._take_push(stream)
            self.changed(str(stream.muxed_conn.peer_id))
        else:
            await reset(stream)

    async def _swarm_stream_handler(self, net_stream: INetStream) -> None:
        peer = str(net_stream.muxed_conn.peer_id)
        slot, gone = self.slots.take(peer) if self._admits(peer) else (None, None)
        if gone is not None:
            self._serving.pop(gone).cancel()
        if slot is None:
            await reset(net_stream)
            return
        scope = self._serving[slot] = trio.CancelScope()
        over = _over.set(net_stream.muxed_conn)
        try:
            with scope:
                if wait := self.slots.wait(peer, trio.current_time()):
                    await trio.sleep(wait)
                await super()._swarm_stream_handler(net_stream)
            if scope.cancelled_caught:
                await reset(net_stream)
        except StreamError:  # its peer left in the middle of an answer of the library's, which lets that out
            await reset(net_stream)
        except Exception:  # this is the fence: a peer's bytes may have provoked anything
            log.warning("a stream of %s (%s) failed", peer, net_stream.get_protocol(), exc_info=True)
            await reset(net_stream)
        finally:
            _over.reset(over)
            self._serving.pop(slot, None)
            self.slots.give(slot)

    async def _identify_task_entry(self, peer_id: ID, reason: str) -> None:
        try:
            await super()._identify_task_entry(peer_id, reason)
            if self.get_network().get_connections(peer_id):
                self._identified(str(peer_id))
        except Exception:  # a system task of trio's: whatever left it would end the program
            log.warning("identifying %s failed", peer_id, exc_info=True)


class _Observations:
    """Stands where the library would keep what peers say they see us as, and passes it on."""

    def __init__(self, host: SafeHost) -> None:
        self._host = host

    def record_observation(self, connection: INetConn, observed: Multiaddr, _: object) -> None:
        self._host.observed(connection, observed)

    def addrs(self) -> list[Multiaddr]:
        return []

    def remove_conn(self, _: INetConn) -> None:
        pass


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


async def finish(stream: INetStream) -> None:
    """End our direction: what was written still arrives. Raises nothing."""
    try:
        await stream.close()
    except Exception:  # as above
        log.debug("a stream could not be closed", exc_info=True)
