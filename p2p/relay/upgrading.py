"""From a relayed connection to a direct one, in the background, while the relayed one serves.

The side that was reached over the relay first dials the other's own addresses, for that one may be public; then it
has both punch a hole (`Punch`), up to PUNCH_TRIES times. What comes of it is one more connection to the same peer: new
streams use it, those that are open end where they are, and the relayed one stays as a standby. Where both ways led to
one, or the two sides dialled each other at once, one direct connection is kept, the same at both ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import trio
from libp2p.abc import INetConn, INetStream
from libp2p.connection_types import ConnectionType
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction

from wire.errors import ErrorCode, RemoteError

from .. import bounds
from ..addresses import Multiaddr, is_circuit, relay_of
from ..dialling import Dialler
from ..guard import SafeHost, reset
from ..rates import Rates
from ..reach.places import Places, ip_of, port_of
from .messages import DCUTR, Addresses, punch_bytes, read_punch, receive, send
from .punch import Dial, Punch, worth_dialling
from .vantage import Vantage

log = logging.getLogger(__name__)

_SERVICES = ("/hallmark/", "/libp2p/circuit/")
_SOON = 2.5  # seconds for the other's own addresses


class Upgrades:
    """Brings about direct connections. `where`: what is known of a peer's addresses."""

    def __init__(
        self,
        host: SafeHost,
        nursery: trio.Nursery,
        dialler: Dialler,
        where: Callable[[str], Iterable[Multiaddr]],
        vantage: Vantage,
        places: Places,
    ) -> None:
        self._host, self._swarm, self._nursery, self._dialler = host, host.swarm, nursery, dialler
        self._where, self._vantage, self._places = where, vantage, places
        self._under_way: set[str] = set()
        self._tried: dict[str, float] = {}  # peers with whom it failed, and when
        # Each try is a burst of SYNs at addresses that the other side names, whoever lives there; and keys are free.
        self._served = Rates(bounds.PUNCH_TRIES / bounds.PUNCH_REST, 2.0 * bounds.PUNCH_TRIES)  # of one peer
        self._all = Rates(bounds.PUNCH_RATE, bounds.PUNCH_BURST)
        host.set_stream_handler(DCUTR, self._serve)

    def identified(self, peer_id: str) -> None:
        """A peer is connected, and its addresses are known: when it came to us over a relay, meet it directly."""
        peer = ID.from_string(peer_id)
        if self._swarm.is_direct(peer):
            return
        if self._relayed(peer, Direction.INBOUND) is None:
            self._nursery.start_soon(self._own, peer)  # it will ask for it
            return
        now = trio.current_time()
        rests = now - self._tried.get(peer_id, float("-inf")) < bounds.PUNCH_REST
        busy = peer_id in self._under_way or len(self._under_way) >= bounds.PUNCHES
        if not (rests or busy) and self._all.take("", now):
            self._under_way.add(peer_id)
            self._nursery.start_soon(self._upgrade, peer_id)

    async def keep_house(self) -> None:
        """Close connections that have rested beside a better one for long, for ever."""
        idle: dict[INetConn, float] = {}
        while True:
            await trio.sleep(min(bounds.STANDBY, bounds.SURPLUS) / 10)
            now = trio.current_time()
            resting = {
                connection: rest
                for peer in self._swarm.get_connections_map()
                for connection, rest in self._beside_better(peer)
                if not _serves(connection)
            }
            idle = {connection: idle.get(connection, now) for connection in resting}
            for connection in [each for each, since in idle.items() if now - since >= resting[each]]:
                await connection.close()

    def _beside_better(self, peer: ID) -> Iterator[tuple[INetConn, float]]:
        """Connections to the peer that another makes needless, and for how long each is to rest before it ends."""
        for connection in self._swarm.surplus(peer):
            yield connection, bounds.SURPLUS
        if self._swarm.is_direct(peer):
            for connection in self._swarm.get_connections(peer):
                if connection.get_connection_type() is ConnectionType.RELAYED:
                    yield connection, bounds.STANDBY

    async def _upgrade(self, peer_id: str) -> None:
        peer = ID.from_string(peer_id)
        try:
            own = await self._own(peer)
            theirs = [str(address) for address in self._where(peer_id) if not is_circuit(address)]
            if targets := worth_dialling(theirs, own, self._places):
                try:
                    await self._dialler.connect_directly(peer_id, [Multiaddr(text) for text in targets], timeout=_SOON)
                except RemoteError as error:
                    log.debug("%s", error)
            for _ in range(bounds.PUNCH_TRIES):
                if not own or self._swarm.is_direct(peer) or self._relayed(peer, Direction.INBOUND) is None:
                    break
                with suppress(RemoteError):  # what was said came late, or not at all; the next try may go better
                    await self._begin(peer, own)
        except Exception as error:  # a stranger's stream, or the relay's: each fails in kinds of its own
            log.debug("%s stays behind its relay: %s", peer_id, error)
        finally:
            self._under_way.discard(peer_id)
            self._tried.pop(peer_id, None)
            if not self._swarm.is_direct(peer):
                self._tried[peer_id] = trio.current_time()
                if len(self._tried) > bounds.KNOWN_PEERS:
                    del self._tried[next(iter(self._tried))]

    async def _begin(self, peer: ID, own: Sequence[str]) -> None:
        with trio.fail_after(bounds.OPEN_TIMEOUT):
            stream = await self._host.new_stream(peer, [DCUTR])
        try:
            if stream.muxed_conn.get_connection_type() is ConnectionType.RELAYED:
                await self._talk(stream, Punch(True, own, self._places))
        finally:
            await reset(stream)

    async def _serve(self, stream: INetStream) -> None:
        """The other side begins: it came about that we dialled it over a relay."""
        peer = stream.muxed_conn.peer_id
        try:
            dialled = self._relayed(peer, Direction.OUTBOUND)
            if dialled is None or str(peer) in self._under_way or len(self._under_way) >= bounds.PUNCHES:
                raise RemoteError(ErrorCode.REFUSED, "there is no relayed connection to punch a hole beside")
            now = trio.current_time()
            if not (self._served.take(str(peer), now) and self._all.take("", now)):
                raise RemoteError(ErrorCode.OVERLOADED, "it has tried often enough")
            self._under_way.add(str(peer))
            try:
                await self._talk(stream, Punch(False, await self._own(peer), self._places))
            finally:
                self._under_way.discard(str(peer))
        except RemoteError as error:
            log.debug("no hole towards %s: %s", peer, error)
        await reset(stream)

    async def _talk(self, stream: INetStream, punch: Punch) -> None:
        actions = punch.begin(trio.current_time())
        while True:
            for action in actions:
                if isinstance(action, Dial):
                    await self._dial(stream.muxed_conn.peer_id, action)
                    return
                await send(stream, punch_bytes(action.message))
            message = await receive(stream, read_punch)
            if isinstance(message, Addresses):
                log.debug("%s may be met at %s", stream.muxed_conn.peer_id, message.addresses)
            actions = punch.heard(message, trio.current_time())

    async def _dial(self, peer: ID, dial: Dial) -> None:
        """Dial all of the addresses, again and again, until one answers or the other side comes to us."""
        await trio.sleep_until(dial.at)
        ends: dict[tuple[str, int] | None, ID] = {}
        if dial.as_client:
            ends = {(str(ip_of(text)), port_of(text)): peer for text in dial.addresses}
        self._swarm.expecting.update(ends)
        try:
            with trio.move_on_after(bounds.PUNCH_TIME):
                async with trio.open_nursery() as nursery:
                    for address in dial.addresses:
                        nursery.start_soon(self._knock, peer, address, dial.as_client)
                    while not self._swarm.is_direct(peer):  # noqa: ASYNC110 — it may come about in many ways
                        await trio.sleep(bounds.PUNCH_PAUSE / 2)
                    nursery.cancel_scope.cancel()
        finally:
            for end in ends:
                self._swarm.expecting.pop(end, None)

    async def _knock(self, peer: ID, address: str, as_client: bool) -> None:
        answered = 0
        while answered < bounds.PUNCH_ANSWERS:
            try:
                connection = await self._vantage.home.dial(address)
            except OSError as error:  # a router's refusal, most likely; the next SYN may find the hole
                log.debug("%s: %s", address, error)
                await trio.sleep(bounds.PUNCH_PAUSE)
                continue
            try:
                taken = await self._swarm.adopt(connection, peer if as_client else None)
                if taken.muxed_conn.peer_id == peer:
                    return
                await taken.close()
            except Exception as error:  # handshakes fail in many ways; the next try may not
                log.debug("%s answered, and failed: %s", address, error)
            await connection.close()
            answered += 1
            await trio.sleep(bounds.PUNCH_PAUSE)

    def _relayed(self, peer: ID, direction: Direction) -> INetConn | None:
        for connection in self._swarm.get_connections(peer):
            relayed = connection.get_connection_type() is ConnectionType.RELAYED
            if relayed and not connection.is_closed and connection.direction is direction:  # type: ignore[attr-defined]
                return connection
        return None

    async def _own(self, peer: ID) -> list[str]:
        """Where we may be met, as the relay between us sees us; empty when that cannot be had."""
        found = self._relayed(peer, Direction.INBOUND) or self._relayed(peer, Direction.OUTBOUND)
        if found is None:
            return []
        relay, address = relay_of(found.get_transport_addresses()[0])
        seen = await self._vantage.seen(relay, address, self._places)
        return [seen] if seen is not None else []


def _serves(connection: INetConn) -> bool:
    """Whether an exchange or a circuit is under way on it. Gossip and the DHT open their streams anew."""
    return any((stream.get_protocol() or "").startswith(_SERVICES) for stream in connection.get_streams())
