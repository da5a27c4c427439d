"""An honest peer: the product's machines, with simulated links where the real ones have streams.

What stands around them follows the product's thin code: `p2p/gossip/service.py`, `p2p/joining`, `p2p/dht/discovery.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from libp2p.peer.id import ID
from typing_extensions import override

from p2p import bounds
from p2p.gossip.gate import Claim, Gate
from p2p.gossip.mesh import Mesh
from p2p.gossip.rpc import Rpc
from p2p.gossip.rules import Admission, Rule
from p2p.joining.company import HEARD, SEED, Candidate, Company, Contact
from p2p.joining.peerbook import PeerBook
from p2p.lookup import Lookup
from p2p.relay.messages import Status
from p2p.standing.doorkeeper import Doorkeeper
from p2p.standing.guests import Guests
from p2p.standing.score import Standing

from .links import Connection
from .measures import Measures
from .peers import RANGES, Gossiped, Peer, Way
from .reaching import Reaching

if TYPE_CHECKING:
    from .world import World

OFFERS = "offers"
MODELS = 32  # that one provider offers, by turns
OFFER_LIFE = 180.0  # seconds, as `node.bounds.OFFER_LIFE_MS`
REFRESH_EVERY = 60.0  # seconds between two looks into the DHT, as in `p2p/dht/discovery.py`
# Nominal processor time, so that a run depends on nothing but its seed.
NEW_US, COPY_US, CONTROL_US = 300, 40, 40  # a message that is new, one that is known, an RPC's other parts


class Board:
    """The newest offer of each provider and model: the rules of `node/noticeboard.py`, without bytes and signatures."""

    def __init__(self) -> None:
        self._offers: dict[tuple[str, int], tuple[int, int]] = {}  # its sequence, and when it ends in µs

    def takes(self, message: Gossiped, now_us: int) -> Admission:
        """As the noticeboard rules on one that is well signed."""
        ends = message.said_us + int(OFFER_LIFE * 1e6)
        key = message.author, message.model
        known = self._offers.get(key)
        if ends <= now_us or (known is not None and known[0] >= message.sequence):
            return Admission.IGNORE
        self._offers[key] = (message.sequence, ends)
        return Admission.ACCEPT

    def current(self, now_us: int) -> list[str]:
        """The providers whose offers hold."""
        return list(dict.fromkeys(author for (author, _), (_, ends) in self._offers.items() if ends > now_us))


class Honest(Peer):
    """One that does what the product does."""

    def __init__(self, world: World, index: int, address: str, way: Way, measures: Measures) -> None:
        super().__init__(world, index, address, way)
        self.measures = measures
        self.bootstraps: list[Peer] = []
        self.standing = Standing(lambda peer: self.guests.where(peer))  # kept over a restart, as the file is
        self.book = PeerBook(None)
        self.board = Board()
        self.guests = Guests(RANGES)
        self.random = Random(f"peer {world.seed} {index}")
        self.reaching: Reaching | None = None
        self.known_relays: list[Honest] | None = None  # of the network file; None: it is not asked who is reached how
        self._sequence = 0
        self._life = 0  # how often it was switched on
        self._since_us = 0  # when it was last
        self._looks_us: int | None = None
        self._met: dict[str, Contact] = {}

    # Life.

    def start(self) -> None:
        super().start()
        self._life += 1
        self._since_us = self.world.clock.us
        self.board = Board()
        random = Random(f"mesh {self.world.seed} {self.index} {self._life}")
        self.guests = Guests(RANGES)
        self.doorkeeper = Doorkeeper(self.standing, self.guests)
        self.doorkeeper.keep(self._kept)
        self.gate = Gate(self.name, self.standing.score, self.standing.is_refused)
        self.mesh = Mesh(self.name, random, self._score, self.guests.where, self.guests.where_wide)
        self.mesh.join(OFFERS, self.world.now)
        self.world.after(self.random.random(), self._heartbeat, self._life)
        if self.known_relays is not None:
            self.reaching = Reaching(self, self.relays, self.known_relays)
        self.company = Company(Random(f"company {self.world.seed} {self.index} {self._life}"), RANGES.wide, grows=True)
        self._looks_us = None
        self._look_in(0)
        self.world.after(self.random.random() * REFRESH_EVERY, self._refresh, self._life)

    def stop(self) -> None:
        super().stop()
        if self.reaching is not None:
            self.reaching.stop()
        self.connections.clear()
        self._met.clear()

    # Being reached.

    @property
    @override
    def open(self) -> bool:
        return self.way is Way.PUBLIC or (self.reaching is not None and self.reaching.mapped)

    def held(self) -> Iterable[str]:
        return self.reaching.reservations.held() if self.reaching is not None else ()

    def reserves(self, other: Peer) -> Status:
        if self.reaching is None or self.reaching.limits is None:
            return Status.PERMISSION_DENIED
        ip = ip_of(other)
        wide = RANGES.wide(ip)
        return self.reaching.limits.reserve(other.name, RANGES.narrow(ip), self.world.now, wide=wide)

    def carries(self, connection: Connection) -> bool:
        return self.reaching is not None and self.reaching.carries(connection)

    def carried(self, connection: Connection) -> None:
        if self.reaching is not None:
            self.reaching.over(connection)

    def _heartbeat(self, life: int) -> None:
        if self.up and life == self._life:
            self.mesh.heartbeat(self.world.now)
            self.flush()
            self.world.after(1.0, self._heartbeat, life)

    # Joining, as `p2p/joining/bootstrap.py` carries it out.

    def _look(self, life: int, due_us: int) -> None:
        """Dial whom the machine wants dialled."""
        if not self.up or life != self._life or due_us != self._looks_us:
            return
        now, contacts = self.world.now, self._contacts()
        self._looks_us = None
        self.book.anchor(self.company.anchors(contacts))
        heard = list(self._heard()) if contacts or not self.book.latest() else []
        for candidate in self.company.plan(now, contacts, self._seeds(), self.book.latest(), heard):
            self.call(self.world.named[candidate.peer], partial(self._tried, candidate))
        self._look_in(max(self.company.wait(now), bounds.BOOT_LOOK if contacts else 0.0))

    def _look_in(self, seconds: float) -> None:
        """Look then, unless it is done before."""
        due = self.world.clock.us + int(seconds * 1e6) + 1  # a moment too early would be too early for ever
        if self._looks_us is None or due < self._looks_us:
            self._looks_us = due
            self.world.clock.at(due, self._look, self._life, due)

    def _tried(self, candidate: Candidate, connection: Connection | None) -> None:
        self.company.ended(candidate, self.world.now, worked=connection is not None)
        self._look_in(bounds.BOOT_LOOK if self.connections else 0.0)

    def _contacts(self) -> list[Contact]:
        return list(self._met.values())

    def _seeds(self) -> list[Candidate]:
        return [Candidate(peer.name, (_whole(peer),), SEED) for peer in self.bootstraps]

    def _heard(self) -> Iterator[Candidate]:
        peers = self.board.current(self.world.clock.us)
        for name in self.random.sample(peers, min(bounds.BOOT_HEARD, len(peers))):
            peer = self.world.named[name]
            if peer.open and peer is not self:
                yield Candidate(name, (_whole(peer),), HEARD)

    def call(self, other: Peer, then: Callable[[Connection | None], object] = lambda _: None) -> None:
        """Dial one that is not refused."""
        if not self.standing.is_refused(other.name, self.world.now):
            self.world.dial(self, other, then)
        else:
            then(None)

    def _refresh(self, life: int) -> None:
        """Look for those nearest to ourselves; who is asked is connected, and stays it."""
        if not self.up or life != self._life:
            return
        self.world.after(REFRESH_EVERY, self._refresh, life)
        self.look_up(self.id.to_bytes(), lambda _: None)

    def look_up(self, key: bytes, then: Callable[[list[Peer]], object]) -> None:
        """Those nearest to a key, as far as peers that answer say."""
        lookup = Lookup(key, [peer.id for peer in self.table()], self.id)
        by_id: dict[ID, Peer] = {peer.id: peer for peer in self.table()}
        state = {"over": False}

        def go_on() -> None:
            while (asked := lookup.next()) is not None:
                self.call(by_id[asked], partial(ask, by_id[asked]))
            if lookup.done and not state["over"]:
                state["over"] = True
                then([by_id[peer] for peer in lookup.closest()])

        def ask(peer: Peer, connection: Connection | None) -> None:
            if connection is None:
                lookup.failed(peer.id)
                self.world.clock.at(self.world.clock.us, go_on)
                return
            waiting = {"answer": True}

            def answered(found: Iterable[Peer]) -> None:
                if waiting.pop("answer", False):
                    named = [other for other in found if other.open]
                    by_id.update((other.id, other) for other in named)
                    lookup.answered(peer.id, [other.id for other in named])
                    go_on()

            def silent() -> None:
                if waiting.pop("answer", False):
                    lookup.failed(peer.id)
                    go_on()

            self.ask_closest(peer, int.from_bytes(sha256(key).digest(), "big"), answered)
            self.world.after(bounds.RECORD_PATIENCE, silent)

        go_on()

    # Connections.

    def welcomes(self, other: Peer, connection: Connection) -> bool:
        now, address = self.world.now, ip_of(other)
        verdict = self.doorkeeper.knock(address, now)
        if verdict.caller is None:
            return False
        self.doorkeeper.settled(verdict.caller)
        return self._enters(other, connection, outgoing=False)

    def _enters(self, other: Peer, connection: Connection, *, outgoing: bool) -> bool:
        address = "" if connection.via else ip_of(other)
        verdict = self.doorkeeper.enter(connection, other.name, address, outgoing, self.world.now)
        for guest in verdict.leave:
            assert isinstance(guest.key, Connection)
            self.world.close(guest.key, self)
        return verdict.rule is None

    def _kept(self) -> list[str]:
        """Who is not sent away for a stranger."""
        now, limits = self.world.now, self.reaching.limits if self.reaching is not None else None
        proven = [peer for peer in self.mesh.members(OFFERS) if self.standing.score(peer, now) > 0]
        holders = [peer for peer in self.connections if limits.holds(peer, now)] if limits is not None else []
        return [*(peer.name for peer in self.bootstraps), *proven, *self.held(), *holders]

    def connected(self, connection: Connection, outgoing: bool) -> None:
        if outgoing and not self._enters(connection.other(self), connection, outgoing=True):
            self.world.close(connection, self)
            return
        first = not self.connections
        super().connected(connection, outgoing)
        other = connection.other(self)
        if self.reaching is not None:
            self.reaching.connected(connection)
        if other.open:
            reached = other.address if outgoing else None
            self.book.note(other.name, (other.address,), self.world.now_ms, reached=reached)
        since = connection.since_us // 1000
        self._met[other.name] = Contact(other.name, other.address, outgoing and connection.via is None, since)
        self._look_in(bounds.BOOT_LOOK)
        self.mesh.joined_by(other.name, outgoing, self.world.now)
        self.flush()
        if first:
            self.world.after(bounds.REFRESH_PAUSE, self.look_up, self.id.to_bytes(), lambda _: None)

    def disconnected(self, connection: Connection) -> None:
        super().disconnected(connection)
        self.guests.remove(connection)
        self._met.pop(connection.other(self).name, None)
        if self.reaching is not None:
            self.reaching.disconnected(connection)
        self.mesh.left_by(connection.other(self).name, self.world.now)
        self.flush()
        self._look_in(bounds.BOOT_LOOK if self.connections else 0.0)

    def _score(self, peer: str) -> float:
        return self.standing.score(peer, self.world.now)

    # Gossip.

    def say(self, topic: str = OFFERS) -> None:
        """Publish an offer of its own."""
        self._sequence += 1
        message = self.world.message(self, topic, self._sequence, model=self._sequence % MODELS)
        self.board.takes(message, self.world.clock.us)
        self.measures.said(message, self.world.honest_up - 1)
        self.world.say(f"publish {self.index} {self._sequence}")
        self.mesh.publish(topic, message.id, message.data, self.world.now)
        self.flush()

    def hears(self, sender: str, rpc: Rpc, size: int) -> None:
        """An RPC of so many bytes has come."""
        world = self.world
        world.say(f"rpc {world.named[sender].index} {self.index} {len(rpc.messages)}")
        if not self.gate.takes_bytes(sender, size, world.now):
            world.after(bounds.BYTES_PAUSE, self._read, sender, rpc, size)
            return
        busy = max(self.sends_at, float(world.clock.us)) + CONTROL_US
        for topic, id, data in rpc.messages:
            busy += self._take(sender, topic, id, data, busy)
        self.sends_at = busy
        if sender in self.connections:
            self.mesh.heard(sender, rpc, world.now)
        self.flush()

    def _take(self, sender: str, topic: str, id: bytes, data: bytes, busy: float) -> int:
        now, message = self.world.now, self.world.messages[id]
        self.measures.copy(id)
        is_first = False

        def first() -> bool:
            nonlocal is_first
            is_first = self.mesh.arrived(sender, topic, id, now, len(data))
            return is_first

        rule = self.gate.judge(
            Claim(
                sender,
                message.author,
                message.seqno,
                True,
                topic == OFFERS,
                first,
                lambda: message.sound,
                lambda: self.board.takes(message, self.world.clock.us),
            ),
            now,
        )
        if rule.weight:
            self._offend(sender, rule, rule.weight)
        if not is_first:
            return COPY_US
        self.mesh.admitted(sender, topic, id, data, rule.verdict, now)
        if rule is Rule.ACCEPTED:
            self.measures.heard(id, busy + NEW_US, self._since_us)
            self.standing.credit(sender, now)
        return NEW_US

    def _offend(self, peer: str, rule: Rule, weight: float) -> None:
        if self.standing.offend(peer, self.world.now, weight, rule.name):
            other = self.world.named[peer]
            self.world.say(f"ban {self.index} {other.index} {rule.name}")
            self.measures.banned(self.world.clock.us, self, other, rule.name)
            if (connection := self.connections.get(peer)) is not None:
                self.world.close(connection, self)

    def flush(self) -> None:
        """Send what the mesh wants sent."""
        world = self.world
        for name, rpc in self.mesh.output():
            connection = self.connections.get(name)
            if connection is not None:
                size = size_of(rpc)
                world.links.carry(connection, self, size, world.named[name].hears, self.name, rpc, size)
        for name, rule, weight in self.mesh.faults():
            self._offend(name, rule, weight)

    def _read(self, sender: str, rpc: Rpc, size: int) -> None:
        """What was not read before."""
        if self.up and sender in self.connections:
            self.hears(sender, rpc, size)


def _whole(peer: Peer) -> str:
    return f"{peer.address}/p2p/{peer.name}"


def ip_of(peer: Peer) -> str:
    """The IP address in its multiaddress."""
    return peer.address.split("/")[2]


def size_of(rpc: Rpc) -> int:
    """About how many bytes the RPC takes."""
    ids = len(rpc.iwant) + len(rpc.idontwant) + sum(len(offered) for _, offered in rpc.ihave)
    return 60 + 40 * ids + sum(220 + len(data) for _, _, data in rpc.messages)
