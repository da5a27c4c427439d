"""One world: its clock, its links, its peers, and how a connection comes about and ends.

Everything that happens is told to one running hash, so two runs of one seed can be compared to the byte.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from random import Random

from p2p import bounds

from ..clock import Clock
from .links import HANDSHAKE_TRIPS, PATIENCE_US, Connection, Links, Road
from .peers import Gossiped, Peer

SECOND = 1_000_000
REFUSED = 0.5  # the share of dead peers whose machine refuses; the others are silent until a time-out
OFFER_BYTES = 600  # of an offer with a few tiers, signed
START_MS = 1_800_000_000_000


class World:
    """`seed` and what is built into it are all that a run depends on."""

    def __init__(self, seed: str, road: Road, trace: Callable[[str], object] | None = None) -> None:
        self.seed, self.road = seed, road
        self.clock = Clock()
        self.links = Links(self.clock, seed, road)
        self.random = Random(f"world {seed}")
        self.peers: list[Peer] = []
        self.named: dict[str, Peer] = {}
        self.messages: dict[bytes, Gossiped] = {}
        self._payload = bytes(OFFER_BYTES)
        self._seqnos: dict[str, int] = {}
        self._honest_up = 0
        self._hash, self._trace = blake2b(digest_size=16), trace
        self._dialling: dict[tuple[str, str], list[Callable[[Connection | None], object]]] = {}
        self.on_closed: list[Callable[[Connection], None]] = []

    def add(self, peer: Peer) -> None:
        """A peer of this world; it is off."""
        self.peers.append(peer)
        self.named[peer.name] = peer

    def message(self, author: Peer, topic: str, sequence: int, *, model: int = 0, sound: bool = True) -> Gossiped:
        """Something that `author` says now. Ids are as in gossipsub: the author's, and a number of its own."""
        seqno = self._seqnos[author.name] = max(self._seqnos.get(author.name, 0) + 1, START_MS * 1000 + self.clock.us)
        id = author.id.to_bytes() + seqno.to_bytes(8, "big")
        said = Gossiped(id, author.name, topic, self._payload, self.clock.us, seqno, model, sequence, sound)
        self.messages[id] = said
        return said

    @property
    def honest_up(self) -> int:
        """How many honest peers there are now."""
        return self._honest_up

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self.clock.us / SECOND

    @property
    def now_ms(self) -> int:
        """As a wall clock would say it."""
        return START_MS + self.clock.us // 1000

    @property
    def digest(self) -> str:
        """Of all that has happened."""
        return self._hash.hexdigest()

    def say(self, text: str) -> None:
        """Something happened."""
        line = f"{self.clock.us} {text}\n"
        self._hash.update(line.encode())
        if self._trace is not None:
            self._trace(line)

    def after(self, seconds: float, act: Callable[..., object], *args: object) -> None:
        """In so many seconds."""
        self.clock.at(self.clock.us + seconds * SECOND, act, *args)

    def start(self, peer: Peer) -> None:
        """Switch a peer on."""
        self.say(f"start {peer.index}")
        self._honest_up += peer.honest
        peer.start()

    def stop(self, peer: Peer, silent: bool) -> None:
        """It is gone: its neighbours are told by its machine, or find out when nothing answers."""
        self.say(f"stop {peer.index}")
        self._honest_up -= peer.honest
        for connection in list(peer.connections.values()):
            self.close(connection, peer, silent)
        peer.stop()

    def dial(self, a: Peer, b: Peer, then: Callable[[Connection | None], object]) -> None:
        """`then` gets the connection, at once when it stands already, or None when none came about."""
        if (stands := a.connections.get(b.name)) is not None:
            then(stands)
            return
        waiting = self._dialling.setdefault((a.name, b.name), [])
        waiting.append(then)
        if len(waiting) > 1:
            return
        trip = 2 * self.links.one_way_us(a, b)
        relay = None if b.open else self._relay(a, b)
        if self.links.parted(a, b) or (not b.up and self.random.random() >= REFUSED):
            self.clock.at(self.clock.us + bounds.DIAL_TIMEOUT * SECOND, self._dialled, a, b, None)
        elif not b.up or (not b.open and relay is None):
            self.clock.at(self.clock.us + trip, self._dialled, a, b, None)
        else:
            way = trip / 2 if relay is None else self.links.one_way_us(a, relay) + self.links.one_way_us(relay, b)
            made = Connection(a, b, way, self.clock.us, relay)
            self.clock.at(self.clock.us + 2 * HANDSHAKE_TRIPS * way, self._dialled, a, b, made)

    def close(self, connection: Connection, by: Peer, silent: bool = False) -> None:
        """End a connection: at once here, and there when it is told or gives up."""
        if not connection.open:
            return
        connection.open = False
        other = connection.other(by)
        by.disconnected(connection)
        if connection.via is not None:
            connection.via.carried(connection)
        wait = PATIENCE_US if silent or self.links.parted(by, other) else connection.one_way_us
        self.clock.at(self.clock.us + wait, self._ended, connection, other)
        for told in self.on_closed:
            told(connection)

    def part(self, sides: dict[str, int]) -> None:
        """A partition; who is on the other side of it for too long is given up. An empty dict heals it."""
        self.say(f"part {len(sides)}")
        self.links.part(sides)
        for peer in self.peers:
            for connection in list(peer.connections.values()):
                if connection.dialler is not peer:
                    continue
                if not sides:
                    self.links.release(connection)
                elif self.links.parted(peer, connection.listener):
                    self.clock.at(self.clock.us + PATIENCE_US, self._given_up, connection)

    def _given_up(self, connection: Connection) -> None:
        if connection.open and self.links.parted(connection.dialler, connection.listener):
            connection.open = False
            connection.held.clear()
            if connection.via is not None:
                connection.via.carried(connection)
            for end in (connection.dialler, connection.listener):
                self._ended(connection, end)

    def _ended(self, connection: Connection, end: Peer) -> None:
        if end.up and end.connections.get(connection.other(end).name) is connection:
            self.say(f"lost {end.index} {connection.other(end).index}")
            end.disconnected(connection)

    def _dialled(self, a: Peer, b: Peer, made: Connection | None) -> None:
        waiting = self._dialling.pop((a.name, b.name))
        if made is not None:
            made = self._met(a, b, made)
        elif a.up:
            a.forgets(b)
        for then in waiting:
            if a.up:
                then(made)

    def _met(self, a: Peer, b: Peer, made: Connection) -> Connection | None:
        if (stands := a.connections.get(b.name)) is not None:
            return stands
        if not (a.up and b.up) or self.links.parted(a, b) or not b.welcomes(a, made):
            self.say(f"refused {a.index} {b.index}")
            return None
        if made.via is not None and not made.via.carries(made):
            b.disconnected(made)
            return None
        self.say(f"connect {a.index} {b.index}")
        a.connected(made, True)
        if made.open:
            b.connected(made, False)
        return made if made.open else None

    def reachable(self, a: Peer, b: Peer) -> bool:
        """Whether `a` can open a connection to `b` now."""
        return a.up and b.up and not self.links.parted(a, b) and (b.open or self._relay(a, b) is not None)

    def _relay(self, a: Peer, b: Peer) -> Peer | None:
        """The best relay that stands for `b`, and is neither of the two."""
        for name in b.held():
            relay = self.named[name]
            if relay.up and relay is not a and name in b.connections and not self.links.parted(a, relay):
                return relay
        return None
