"""What every simulated peer has, honest or not: a name, an address, a way into it, connections, a place in the DHT."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from heapq import nsmallest
from typing import TYPE_CHECKING

from libp2p.peer.id import ID

from p2p import bounds
from p2p.gossip.rpc import Rpc
from p2p.relay.messages import Status
from p2p.standing.ranges import Ranges, range_of, wide_range_of
from wire.cid import content_hash

from .links import Connection

if TYPE_CHECKING:
    from .world import World

RANGES = Ranges(lru_cache(None)(range_of), lru_cache(None)(wide_range_of))  # as the product tells addresses apart
BUCKET = 20  # peers of one distance that a routing table holds (Kademlia's k)


class PeerId(ID):
    """A peer's id; its hash is kept, since lookups ask for it without end."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._kept = hash(raw)

    def __hash__(self) -> int:
        return self._kept


class Way(Enum):
    """How a peer is reached from outside."""

    PUBLIC = "public"
    MAPPED = "mapped"  # through a port that its router maps
    CONE = "behind a NAT that can be punched"
    SYMMETRIC = "behind a NAT that cannot"


@dataclass(frozen=True, slots=True)
class Gossiped:
    """One message, as it is remembered by who measures: who says what, and when it did."""

    id: bytes
    author: str
    topic: str
    data: bytes
    said_us: int
    seqno: int  # gossip's: it grows with each message
    model: int  # that the offer is of
    sequence: int  # the offer's: a higher one of the same author and model replaces a lower one
    sound: bool = True  # a good signature, and nothing in it that a rule forbids


class Peer:
    """Made by a world, which calls what is below when something happens to the peer."""

    def __init__(self, world: World, index: int, address: str, way: Way) -> None:
        self.world, self.index, self.address, self.way = world, index, address, way
        self.id = PeerId(b"\x12\x20" + content_hash(f"peer {world.seed} {index}".encode()))
        self.name = str(self.id)
        self.place = int.from_bytes(sha256(self.id.to_bytes()).digest(), "big")  # in the DHT
        self.up = False
        self.sends_at = 0.0  # µs, when what is queued for the wire has left
        self.connections: dict[str, Connection] = {}
        self._buckets: dict[int, dict[str, Peer]] = {}

    honest = True
    relays = False  # whether it relays for others

    @property
    def open(self) -> bool:
        """Whether strangers can dial it now."""
        return self.way is Way.PUBLIC

    # What a private peer needs of others; only honest ones give it.

    def held(self) -> Iterable[str]:
        """The relays over which it is reached."""
        return ()

    def reserves(self, other: Peer) -> Status:  # noqa: ARG002
        """What it says to one that wants a reservation."""
        return Status.PERMISSION_DENIED

    def carries(self, connection: Connection) -> bool:  # noqa: ARG002
        """Whether it lets this connection pass through it."""
        return False

    def carried(self, connection: Connection) -> None:
        """That connection goes through it no more."""

    def dials_back(self, works: bool) -> bool:
        """What it says when it was asked to dial somebody, and that did or did not work."""
        return works

    # What happens to it.

    def start(self) -> None:
        """It is switched on."""
        self.up = True

    def stop(self) -> None:
        """It is gone."""
        self.up = False

    def welcomes(self, other: Peer, connection: Connection) -> bool:  # noqa: ARG002 — the subclasses' business
        """Whether a connection that `other` opens is taken."""
        return True

    def connected(self, connection: Connection, outgoing: bool) -> None:  # noqa: ARG002 — as above
        """A connection stands."""
        other = connection.other(self)
        self.connections[other.name] = connection
        if other.open:
            self.knows(other)

    def disconnected(self, connection: Connection) -> None:
        """It ended, or was given up."""
        self.connections.pop(connection.other(self).name, None)

    def hears(self, sender: str, rpc: Rpc, size: int) -> None:
        """A gossip RPC of so many bytes has come."""

    # The DHT.

    def knows(self, other: Peer) -> None:
        """Another that serves the DHT; Kademlia keeps the old ones."""
        bucket = self._buckets.setdefault((self.place ^ other.place).bit_length(), {})
        if len(bucket) < BUCKET and other is not self:
            bucket[other.name] = other

    def forgets(self, other: Peer) -> None:
        """It does not answer."""
        self._buckets.get((self.place ^ other.place).bit_length(), {}).pop(other.name, None)

    def table(self) -> list[Peer]:
        """Everybody in the routing table."""
        return [peer for _, bucket in sorted(self._buckets.items()) for peer in bucket.values()]

    def closest(self, place: int, asker: Peer) -> Iterable[Peer]:
        """Whom it names to `asker` when asked who is near `place`."""
        near = nsmallest(bounds.CLOSEST + 1, self.table(), key=lambda peer: peer.place ^ place)
        return [peer for peer in near if peer is not asker][: bounds.CLOSEST]

    def ask_closest(self, other: Peer, place: int, then: Callable[[list[Peer]], None]) -> None:
        """Ask a connected peer for those nearest to a place."""
        connection = self.connections.get(other.name)
        if connection is None:
            return

        def asked() -> None:
            if (back := other.connections.get(self.name)) is connection:
                found = list(other.closest(place, self))
                self.world.links.carry(back, other, 80 + 70 * len(found), then, found)

        self.world.links.carry(connection, self, 80, asked)
