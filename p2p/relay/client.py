"""Being reached over relays: does what `Reservations` says, and tells it what became of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import trio
from libp2p.abc import INetConn
from libp2p.connection_types import ConnectionType
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction

from wire.errors import RemoteError

from .. import bounds
from ..addresses import Multiaddr, is_circuit, parse_peer, read_address
from ..guard import SafeHost, reset
from ..standing.ranges import range_of
from .circuit import open_direct
from .messages import HOP, Answer, Reserve, Status, hop_bytes, read_hop, receive, send
from .reserving import Ask, Origin, Reservations

log = logging.getLogger(__name__)

_LOOK = 5.0  # seconds between two looks at whether this peer is private
_BREATH = 0.2  # seconds between two rounds, whatever happens
_SMALL = 16 * bounds.RELAY_BYTES_STRANGER  # bytes, of a circuit that no model goes through


class Relays:
    """Holds reservations while nobody can dial this peer: `is_private` says so, or does not know (None) for long.

    `connect` brings about a connection to a relay, `search` asks the DHT for relays' ids, `where` says where a peer is
    reached, `on_change` hears of every change of `circuits`.
    """

    def __init__(
        self,
        host: SafeHost,
        named: Sequence[str],
        is_private: Callable[[], bool | None],
        connect: Callable[[str, Sequence[Multiaddr]], Awaitable[object]],
        search: Callable[[], Awaitable[Sequence[str]]],
        where: Callable[[str], Sequence[Multiaddr]],
        on_change: Callable[[], None],
    ) -> None:
        self._host, self._is_private, self._connect = host, is_private, connect
        self._search, self._where, self._on_change = search, where, on_change
        self._me = str(host.get_id())
        self._known_at = float("-inf")  # when it last said something
        self._machine = Reservations(range_of, Random())
        self._news = trio.Event()
        for text in named:
            peer, address = read_address(text)
            if peer != self._me:
                self._machine.known(peer, [str(address)], Origin.NETWORK)

    def circuits(self) -> tuple[str, ...]:
        """The whole addresses by which this peer is dialled over relays."""
        return tuple(f"{text}/p2p/{self._me}" for text in self._machine.circuits())[: bounds.ADDRESSES // 2]

    def holds(self, relay: str) -> bool:
        """Whether the relay holds a reservation of ours."""
        return self._machine.holds(relay)

    def held(self) -> tuple[str, ...]:
        """The relays that do, the best first."""
        return self._machine.held()

    def identified(self, peer_id: str) -> None:
        """It is known now what the peer serves; it may be a relay."""
        peer = ID.from_string(peer_id)
        if HOP in self._host.speaks(peer) and self._host.swarm.is_direct(peer):
            found = [str(address) for address in self._where(peer_id) if not is_circuit(address)]
            dialled = [text for text in map(_address, self._host.swarm.get_connections(peer)) if text]
            self._machine.known(peer_id, [*dialled, *found], Origin.MET)
            self._news.set()

    def disconnected(self, connection: INetConn) -> None:
        """A connection ended; perhaps the last to a relay."""
        peer = connection.muxed_conn.peer_id
        if not self._machine.holds(str(peer)) or connection.get_connection_type() is not ConnectionType.DIRECT:
            return
        if self._host.swarm.is_direct(peer):
            self._machine.doubtful(str(peer), trio.current_time())
        else:
            self._machine.lost(str(peer), trio.current_time())
            self._on_change()
        self._news.set()

    async def run(self) -> None:
        """Keep enough reservations, for ever."""
        async with trio.open_nursery() as nursery:
            while True:
                self._news = trio.Event()
                now, before = trio.current_time(), self._machine.circuits()
                self._look(now)
                for peer in self._machine.held():
                    self._machine.measured(peer, self._rtt(peer))
                for action in self._machine.tick(now):
                    nursery.start_soon(*((self._ask, action) if isinstance(action, Ask) else (self._find,)))
                if self._machine.circuits() != before:
                    self._on_change()
                await trio.sleep(_BREATH)
                with trio.move_on_at(min(self._machine.due(), now + _LOOK)):
                    await self._news.wait()

    def _look(self, now: float) -> None:
        said = self._is_private()
        if said is not None or self._known_at == float("-inf"):
            self._known_at = now
        if said is not None or now - self._known_at >= bounds.RELAY_UNSURE:
            self._machine.private(said is not False)

    async def _ask(self, ask: Ask) -> None:
        peer, before = parse_peer(ask.relay), self._machine.circuits()
        try:
            if not self._host.swarm.is_direct(peer):
                targets = [*map(Multiaddr, ask.addresses), *self._where(ask.relay)]
                await self._connect(ask.relay, [a for a in dict.fromkeys(targets) if not is_circuit(a)])
            answer = await self._reserve(ask.relay)
            if answer.status != Status.OK:
                raise ValueError(f"it answered {answer.status}")
        except (RemoteError, ValueError) as error:
            log.debug("no reservation with %s: %s", ask.relay, error)
            self._machine.refused(ask.relay, trio.current_time())
        except BaseException:  # cancelled, or a fault of ours: the relay is not asked any more either way
            self._machine.refused(ask.relay, trio.current_time())
            raise
        else:
            life = min(max(answer.expires - time.time(), bounds.RELAY_LIFE_LEAST), bounds.RELAY_LIFE_MOST)
            small = 0 < answer.limit.data <= _SMALL
            circuits = self._circuits_over(ask.relay, answer.addresses)
            self._machine.reserved(ask.relay, circuits, life, self._rtt(ask.relay), small, trio.current_time())
            if not self._host.swarm.is_direct(peer):  # it went while its answer was on the way
                self._machine.lost(ask.relay, trio.current_time())
        if self._machine.circuits() != before:
            self._on_change()
        self._news.set()

    async def _reserve(self, relay: str) -> Answer:
        stream = await open_direct(self._host, relay, HOP)
        try:
            await send(stream, hop_bytes(Reserve()))
            answer = await receive(stream, read_hop)
        finally:
            await reset(stream)
        if not isinstance(answer, Answer):
            raise ValueError("it answered with no answer")
        return answer

    def _circuits_over(self, relay: str, said: Sequence[str]) -> list[str]:
        """By which of its addresses this relay is best dialled: where we reach it first, then those that it says."""
        found: dict[str, None] = {}
        ours = [text for text in map(_address, self._host.swarm.get_connections(parse_peer(relay))) if text]
        for text in (*ours, *said):
            try:
                _, address = read_address(text, relay)
            except RemoteError:
                continue
            if not is_circuit(address):
                found[f"{address}/p2p/{relay}/p2p-circuit"] = None
        return list(found)[: bounds.RELAY_ADDRESSES]

    def _rtt(self, relay: str) -> float:
        for connection in self._host.swarm.get_connections(parse_peer(relay)):
            if connection.get_connection_type() is ConnectionType.DIRECT:
                return float(connection.muxed_conn.rtt())  # type: ignore[attr-defined]  # ours has it
        return 0.0

    async def _find(self) -> None:
        for peer in await self._search():
            if peer != self._me:
                self._machine.known(peer, [str(a) for a in self._where(peer) if not is_circuit(a)], Origin.FOUND)
        self._news.set()


def _address(connection: INetConn) -> str:
    """Where a connection that we dialled leads; empty for any other."""
    direct = connection.get_connection_type() is ConnectionType.DIRECT
    if not direct or connection.direction is not Direction.OUTBOUND:  # type: ignore[attr-defined]  # as in contacts
        return ""
    found = connection.get_transport_addresses()
    return str(found[0]) if found else ""
