"""Reaching peers: by addresses that were given, or by whatever is known of them; and who is connected now."""

# ruff: noqa: ASYNC109 — a timeout here has a meaning of its own: it becomes a RemoteError
from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio
from libp2p.abc import INetConn
from libp2p.connection_types import ConnectionType
from libp2p.rcmgr import Direction

from wire.errors import ErrorCode, RemoteError

from . import bounds
from .addresses import Multiaddr, parse_peer, read_address, relay_of
from .dialling import Dialler
from .joining.company import Contact
from .standing.score import Standing
from .swarm import SafeSwarm
from .whereabouts import Whereabouts


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer that is connected."""

    peer_id: str
    address: str
    since_ms: int
    outgoing: bool  # whether we dialled it
    rtt: float  # seconds, 0 while not yet measured
    relayed: bool = False  # over a relay, and not directly
    via: str = ""  # that relay's peer id
    relays: bool = False  # whether it relays for others
    score: float = 0.0  # how well it behaves: below 0 is bad


class Contacts:
    """Connects to peers that are welcome."""

    def __init__(
        self, peer_id: str, swarm: SafeSwarm, nursery: trio.Nursery, whereabouts: Whereabouts, standing: Standing
    ) -> None:
        self._peer_id, self._swarm, self._nursery = peer_id, swarm, nursery
        self._whereabouts, self._standing = whereabouts, standing
        self.dialler = Dialler(swarm, nursery)
        self.find_peer: Callable[[str], Awaitable[None]] | None = None  # asks others where a peer is

    def is_connected(self, peer_id: str) -> bool:
        """Whether an open connection to the peer stands."""
        return self.dialler.is_connected(peer_id)

    def is_direct(self, peer_id: str) -> bool:
        """Whether one stands that no relay carries."""
        return self._swarm.is_direct(parse_peer(peer_id))

    def is_welcome(self, peer_id: str) -> bool:
        """Whether the peer is not refused."""
        return not self._standing.is_refused(peer_id, trio.current_time())

    async def connect(self, addresses: Sequence[str], *, timeout: float = bounds.DIAL_TIMEOUT) -> str:
        """Connect to the one peer whose addresses these are, and return its id.

        RemoteError (UNREACHABLE) names every address that was tried and why it failed.
        """
        if not addresses:
            raise RemoteError(ErrorCode.UNREACHABLE, "no address was given", retry=False)
        owner: str | None = None
        targets: list[Multiaddr] = []
        for text in addresses[: bounds.ADDRESSES]:
            owner, address = read_address(text, owner)
            targets.append(address)
        assert owner is not None  # read_address gives an id or raises
        await self._dial(owner, targets, timeout)
        self._whereabouts.learn(owner, map(str, targets))
        return owner

    async def reach(self, peer_id: str) -> None:
        """Return once the peer is connected; RemoteError (UNREACHABLE) when nobody knows a way that works."""
        if self.is_connected(peer_id):
            return
        tried = self._whereabouts.of(peer_id)
        try:
            await self._dial(peer_id, tried, bounds.DIAL_TIMEOUT)
        except RemoteError:
            if self.find_peer is None:
                raise
            # Those we knew are stale or none; somebody else may know better ones.
            await self.find_peer(peer_id)
            fresh = [address for address in self._whereabouts.of(peer_id) if address not in tried]
            if not fresh:
                raise
            await self._dial(peer_id, fresh, bounds.DIAL_TIMEOUT)

    async def reach_relay(self, peer_id: str, addresses: Sequence[Multiaddr]) -> None:
        """Return once the relay is connected, and not over another; RemoteError (UNREACHABLE) says why it is not."""
        self._check(peer_id)
        await self.dialler.connect_directly(peer_id, addresses, timeout=bounds.DIAL_TIMEOUT)

    async def visit(self, peer_id: str) -> None:
        """Reach a peer of the DHT's, or give up soon: there are others."""
        if not self.is_connected(peer_id):
            await self._dial(peer_id, self._whereabouts.of(peer_id), bounds.RECORD_PATIENCE)

    def connected(self) -> list[PeerStatus]:
        """The peers that are connected now, one entry each, the oldest connection first."""
        found = []
        for peer, connections in self._swarm.get_connections_map().items():
            standing = [connection for connection in connections if not connection.is_closed]
            if standing:
                best = min(standing, key=lambda connection: connection.get_connection_type() is ConnectionType.RELAYED)
                found.append(_status(str(peer), best, self._standing.score(str(peer), trio.current_time())))
        return sorted(found, key=lambda status: status.since_ms)

    def company(self) -> list[Contact]:
        """The same, as whoever looks for company sees it: over a relay one is reached by its leave alone."""
        return [
            Contact(one.peer_id, one.address, one.outgoing and not one.relayed, one.since_ms)
            for one in self.connected()
        ]

    def reached_at(self, peer_id: str) -> str | None:
        """The address at which we dialled the peer, while that connection stands; not one over a relay."""
        for connection in self._swarm.get_connections(parse_peer(peer_id)):
            status = _status(peer_id, connection, 0.0)
            if status.outgoing and not status.relayed and status.address and not connection.is_closed:
                return status.address
        return None

    def streams(self) -> int:
        """How many streams are open, with all peers together."""
        connections = self._swarm.get_connections()
        return sum(connection.muxed_conn.streams for connection in connections)  # type: ignore[attr-defined]  # ours

    def expel(self, peer_id: str) -> None:
        """End the peer's connections."""
        self._nursery.start_soon(self._swarm.close_peer, parse_peer(peer_id))

    def greet(self, connection: INetConn) -> None:
        """A connection has come about: one of a peer that is refused ends."""
        if not self.is_welcome(str(connection.muxed_conn.peer_id)):
            self._nursery.start_soon(connection.close)

    async def _dial(self, peer_id: str, targets: Sequence[Multiaddr], timeout: float) -> None:
        self._check(peer_id)
        await self.dialler.connect(peer_id, targets, timeout=timeout)

    def _check(self, peer_id: str) -> None:
        if peer_id == self._peer_id:
            raise RemoteError(ErrorCode.UNREACHABLE, "that address is this peer's own", retry=False)
        if not self.is_welcome(peer_id):
            raise RemoteError(ErrorCode.UNREACHABLE, f"peer {peer_id} misbehaved and is refused for a while")


def _status(peer_id: str, connection: INetConn, score: float) -> PeerStatus:
    addresses = connection.get_transport_addresses()
    relayed = connection.get_connection_type() is ConnectionType.RELAYED
    return PeerStatus(
        peer_id=peer_id,
        address=str(addresses[0]) if addresses else "",
        since_ms=int(connection._created_at * 1000),  # type: ignore[attr-defined]  # the library offers no other way
        outgoing=connection.direction is Direction.OUTBOUND,  # type: ignore[attr-defined]  # as above
        rtt=connection.muxed_conn.rtt(),  # type: ignore[attr-defined]  # as above
        score=score,
        relayed=relayed,
        via=relay_of(addresses[0])[0] if relayed else "",
    )
