"""Gossip: news that every peer of a topic hears, admitted message by message.

A rule of the topic answers ACCEPT (deliver and forward), IGNORE (neither; nobody is to blame) or REJECT (the neighbour
who forwarded it should have known better). To each neighbour leads one stream of ours, which is opened anew as long as
a connection stands; what it sends comes over one of its own. Any bytes cost who sent them at most an offence, and a
neighbour that reads nothing a bounded queue and its place.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

import trio
from libp2p.abc import INetConn, INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction

from wire.errors import RecordError, RemoteError
from wire.network import Network

from .. import bounds
from ..guard import SafeHost, Watch, reset
from ..netstream import NetByteStream
from ..reach.dialback import NAME as REACH
from ..standing.guests import Guests
from ..standing.score import Standing
from .frames import Frames, framed
from .gate import Claim, Gate
from .mesh import Mesh
from .messages import Incoming, decode, encode, encode_message, encode_offer, sign
from .outbox import Outbox, Urgency
from .rpc import Rpc
from .rules import Admission, Rule

log = logging.getLogger(__name__)

PROTOCOLS = tuple(map(TProtocol, ("/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0")))


@dataclass(frozen=True, slots=True)
class _Topic:
    admit: Callable[[bytes, str], Admission]
    deliver: Callable[[bytes, str], None]


@dataclass(eq=False, slots=True)
class _Link:
    """A neighbour: what waits for it, and the streams that it opened, the oldest first."""

    peer: ID
    outbox: Outbox = field(default_factory=Outbox)
    wake: trio.Event = field(default_factory=trio.Event)
    broken: bool = False  # our stream to it
    relayed: bool = False  # as above
    inbound: dict[INetStream, None] = field(default_factory=dict)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class Gossip:
    """The topics this peer takes part in."""

    def __init__(
        self,
        host: SafeHost,
        network: Network,
        standing: Standing,
        expel: Callable[[str], None],
        guests: Guests,
    ) -> None:
        """`expel` ends a peer's connections; `guests` knows from where it is connected."""
        self._host, self._network, self._standing, self._expel = host, network, standing, expel
        self._me, self._prefix = str(host.get_id()), network.protocol("x").removesuffix("x/1")
        self._topics: dict[str, _Topic] = {}
        self._links: dict[str, _Link] = {}
        self._mesh = Mesh(
            self._me,
            Random(),
            lambda peer: standing.score(peer, trio.current_time()),
            guests.where,
            guests.where_wide,
        )
        self._gate = Gate(self._me, standing.score, standing.is_refused)
        self._nursery: trio.Nursery | None = None
        self._seqno = 0
        for protocol in PROTOCOLS:
            host.set_stream_handler(protocol, self._listen)

    async def run(self) -> None:
        """Serve until cancelled; may be run again."""
        watch = Watch(self._connected, self._disconnected)
        try:
            async with trio.open_nursery() as self._nursery:
                self._host.swarm.register_notifee(watch)
                for connection in self._host.swarm.get_connections():
                    self._connected(connection)
                while True:
                    await trio.sleep(bounds.HEARTBEAT)
                    self._mesh.older = {peer for peer, link in self._links.items() if self._is_older(link.peer)}
                    self._mesh.heartbeat(trio.current_time())
                    self._flush()
        finally:
            self._nursery = None
            self._host.swarm.remove_notifee(watch)
            for peer, link in tuple(self._links.items()):
                self._part(peer)
                for stream in tuple(link.inbound):  # they open them anew, and say again what they subscribe to
                    await reset(stream)

    async def join(
        self, topic: str, admit: Callable[[bytes, str], Admission], deliver: Callable[[bytes, str], None]
    ) -> None:
        """Take part in `topic`. Both callables get the payload and its author's peer id, and must not block."""
        name = self._network.protocol(topic)
        self._topics[name] = _Topic(admit, deliver)
        self._mesh.join(name, trio.current_time())
        self._flush()

    async def publish(self, topic: str, data: bytes) -> None:
        """Sign `data` and send it to the topic's peers; it is not delivered here. ValueError over the size bound."""
        if len(data) > bounds.GOSSIP:
            raise ValueError(f"a gossip message of {len(data)} bytes, the bound is {bounds.GOSSIP}")
        # A clock, so that it does not go back over a restart, which others take for a replay.
        self._seqno = max(self._seqno + 1, time.time_ns() // 1000)
        name, secret = self._network.protocol(topic), self._host.get_private_key().to_bytes()
        message_id, message = sign(secret, self._host.get_id().to_bytes(), name, self._seqno, data)
        self._mesh.publish(name, message_id, message, trio.current_time())
        self._flush()

    def peers(self, topic: str) -> int:
        """How many neighbours take part in `topic`, as far as is known."""
        return self._mesh.takers(self._network.protocol(topic))

    def proven(self) -> list[str]:
        """The neighbours in our meshes that have brought something good: not to be parted with for a stranger."""
        now = trio.current_time()
        members = dict.fromkeys(peer for topic in self._topics for peer in self._mesh.members(topic))
        return [peer for peer in members if self._standing.score(peer, now) > 0]

    def counts(self) -> dict[str, int]:
        """How often each rule decided since the start, by its name."""
        return {rule.name.lower(): count for rule, count in self._gate.counts.items()}

    # neighbours come and go

    def _connected(self, connection: INetConn) -> None:
        link = self._meet(connection.muxed_conn.peer_id)
        if link is not None and link.relayed and self._host.swarm.is_direct(link.peer):
            self._broke(link)  # its stream moves to the better connection, and the relay is left to others

    def _meet(self, peer_id: ID) -> _Link | None:
        """The link to a neighbour, a new one if need be; None while this service does not run, or all is over."""
        peer = str(peer_id)
        if (link := self._links.get(peer)) is not None or self._nursery is None:
            return link
        connection = next((c for c in self._host.swarm.get_connections(peer_id) if not c.is_closed), None)
        if connection is None:
            return None
        link = self._links[peer] = _Link(peer_id)
        outgoing = connection.direction is Direction.OUTBOUND  # type: ignore[attr-defined]  # its interface lacks it
        self._mesh.joined_by(peer, outgoing, trio.current_time())
        self._flush()
        self._nursery.start_soon(self._talk, peer, link)
        return link

    def _disconnected(self, connection: INetConn) -> None:
        # The end of an old connection may be told after a new one stands.
        if not self._is_connected(connection.muxed_conn.peer_id):
            self._part(str(connection.muxed_conn.peer_id))

    def _is_connected(self, peer_id: ID) -> bool:
        return any(not connection.is_closed for connection in self._host.swarm.get_connections(peer_id))

    def _part(self, peer: str) -> None:
        if (link := self._links.pop(peer, None)) is not None:
            self._mesh.left_by(peer, trio.current_time())
            link.scope.cancel()

    def _is_older(self, peer_id: ID) -> bool:
        """Whether the peer is of release 0.1: of this network, and without what every later one serves."""
        spoken = self._host.speaks(peer_id)
        return self._host.is_of(self._network, peer_id) and self._network.protocol(REACH) not in spoken

    # what we say

    async def _talk(self, peer: str, link: _Link) -> None:
        """Keep a stream to the neighbour as long as it is connected, and send over it what waits."""
        pause = bounds.REOPEN
        with link.scope:
            while self._is_connected(link.peer):
                began = trio.current_time()
                if await self._send(peer, link):  # else all of it still waits
                    link.outbox.clear()
                    self._mesh.joined_by(peer, False, trio.current_time())
                    self._flush()
                pause = bounds.REOPEN if trio.current_time() - began > bounds.REOPEN_MAX else pause
                await trio.sleep(pause)
                pause = min(2 * pause, bounds.REOPEN_MAX)
        if self._links.get(peer) is link:
            self._part(peer)

    async def _send(self, peer: str, link: _Link) -> bool:
        """Open a stream and send over it until it breaks; False when none could be opened. Raises nothing."""
        stream: INetStream | None = None
        try:
            with trio.fail_after(bounds.OPEN_TIMEOUT):
                stream = await self._host.new_stream(link.peer, PROTOCOLS)
            out, link.broken = NetByteStream(stream), False
            link.relayed = not self._host.swarm.is_direct(link.peer)
            out.on_end(partial(self._broke, link))
            while not link.broken:
                if not (data := link.outbox.take(bounds.OUTBOX_WRITE)):
                    link.wake = trio.Event()
                    await link.wake.wait()
                    continue
                with trio.move_on_after(bounds.OUTBOX_PATIENCE) as patience:
                    await out.write(data)
                if patience.cancelled_caught:
                    self._offend(peer, self._gate.counted(Rule.DEAF))
                    break
        except Exception as error:  # negotiation, muxer and link fail in kinds of their own
            log.debug("the gossip stream to %s ended: %r", peer, error)
        finally:
            if stream is not None:
                await reset(stream)
        return stream is not None

    def _broke(self, link: _Link) -> None:
        link.broken = True
        link.wake.set()

    def _flush(self) -> None:
        """Bring what the mesh says into the queues of those it is for."""
        frames: dict[bytes, bytes] = {}
        for peer, rpc in self._mesh.output():
            if (link := self._links.get(peer)) is not None:
                if not self._queue(link, rpc, frames):
                    self._broke(link)
                link.wake.set()
        for peer, rule, weight in self._mesh.faults():
            self._offend(peer, self._gate.counted(rule), weight)

    def _queue(self, link: _Link, rpc: Rpc, frames: dict[bytes, bytes]) -> bool:
        """Whether it fits. `frames` are made once for all who are told the same."""
        box, control = link.outbox, encode(rpc)
        fits = not control or box.put(framed(control), Urgency.CONTROL)
        for _, message_id, data in rpc.messages:
            if (frame := frames.get(message_id)) is None:
                frame = frames[message_id] = framed(encode_message(data))
            fits &= box.put(frame, Urgency.MESSAGE)
        for topic, ids in rpc.ihave:
            fits &= box.put(framed(encode_offer(topic, ids)), Urgency.OFFER)
        return fits

    # what we hear

    async def _listen(self, stream: INetStream) -> None:
        """Read what a neighbour says until it ends, or breaks a rule that ends it."""
        peer_id = stream.muxed_conn.peer_id
        peer, link = str(peer_id), self._meet(peer_id)
        try:
            if link is None:
                return
            link.inbound[stream] = None
            if len(link.inbound) > bounds.INBOUND_GOSSIP:
                oldest = next(iter(link.inbound))
                del link.inbound[oldest]
                await reset(oldest)
            source, frames = NetByteStream(stream), Frames(bounds.RPC)
            while data := await source.read(bounds.GOSSIP_READ):
                for packet in frames.feed(data):
                    while not self._gate.takes_bytes(peer, len(packet), trio.current_time()):  # noqa: ASYNC110 — time is it
                        await trio.sleep(bounds.BYTES_PAUSE)
                    self._hear(peer, packet)
                    self._flush()
                if self._standing.is_refused(peer, trio.current_time()):
                    return
        except RecordError as error:
            log.debug("malformed gossip from %s: %s", peer, error)
            self._offend(peer, self._gate.counted(Rule.MALFORMED))
        except trio.BrokenResourceError as error:
            log.debug("the gossip stream of %s ended: %s", peer, error)
        finally:
            if link is not None:
                link.inbound.pop(stream, None)
                if not link.inbound and self._links.get(peer) is link:
                    self._mesh.muted(peer, trio.current_time())
            await reset(stream)

    def _hear(self, peer: str, packet: bytes) -> None:
        """Take one RPC. RecordError when it is malformed."""
        rpc, messages = decode(packet)
        now = trio.current_time()
        for incoming in messages:
            self._judge(peer, incoming, now)
        # Of another network's topics nothing has to be known.
        rpc.subscriptions = [
            each for each in rpc.subscriptions if len(each[1]) <= bounds.TOPIC_TEXT and each[1].startswith(self._prefix)
        ]
        self._mesh.heard(peer, rpc, now)

    def _judge(self, sender: str, incoming: Incoming, now: float) -> None:
        topic, data = incoming.topic or "", incoming.message.data
        known = self._topics.get(topic)
        is_first = False

        def first() -> bool:
            nonlocal is_first
            is_first = self._mesh.arrived(sender, topic, incoming.id, now, len(data))
            return is_first

        rule = self._gate.judge(
            Claim(
                sender=sender,
                asked=self._mesh.awaits(sender, incoming.id),
                author=incoming.author,
                seqno=incoming.seqno,
                formed=incoming.formed,
                topic=known is not None,
                first=first,
                signed=incoming.signed,
                ruled=lambda: None if known is None else _ruling(known, data, incoming.author),
                foreign=incoming.foreign,
            ),
            now,
        )
        if rule.weight:
            self._offend(sender, rule)
        if is_first:
            wire = incoming.wire() if rule is Rule.ACCEPTED else b""
            self._mesh.admitted(sender, topic, incoming.id, wire, rule.verdict, now)
        if known is not None and rule in (Rule.ACCEPTED, Rule.FOREIGN):
            _deliver(known, data, incoming.author)
        if rule is Rule.ACCEPTED:
            self._standing.credit(sender, now)

    def _offend(self, peer: str, rule: Rule, weight: float | None = None) -> None:
        """Hold it against the peer: so much, or what the rule weighs."""
        weight = rule.weight if weight is None else weight
        if self._standing.offend(peer, trio.current_time(), weight, f"gossip: {rule.text}"):
            log.warning("peer %s is refused for its gossip, at last because: %s", peer, rule.text)
            self._expel(peer)


def _ruling(topic: _Topic, data: bytes, author: str) -> Admission | None:
    try:
        return topic.admit(data, author)
    except (RecordError, RemoteError) as error:
        log.debug("gossip of %s breaks a rule: %s", author, error)
        return Admission.REJECT
    except Exception:  # a fault of ours is no one's offence, and must not end the neighbour's stream
        log.exception("the admission of gossip failed")
        return None


def _deliver(topic: _Topic, data: bytes, author: str) -> None:
    try:
        topic.deliver(data, author)
    except Exception:  # as above
        log.exception("the delivery of gossip failed")
