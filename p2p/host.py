"""The peer on the network: one host that dials, serves, gossips and finds, and that no stranger can take down."""

# ruff: noqa: ASYNC109 — a timeout here has a meaning of its own: it becomes a RemoteError
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from random import Random

import trio
from libp2p.abc import INetConn
from libp2p.peer.id import ID

from wire.keys import NodeKey
from wire.network import Network

from . import bounds
from .addresses import Multiaddr
from .contacts import Contacts, PeerStatus
from .dht.discovery import Discovery
from .exchanges import Exchanges
from .gossip import Admission, Gossip
from .guard import SafeHost, Watch
from .joining.bootstrap import Attempt, Bootstrap
from .joining.company import HEARD, Candidate, Company
from .joining.peerbook import PeerBook
from .options import Options
from .reach.state import Reachability
from .relay.limits import Relaying
from .relay.messages import HOP
from .rendezvous.service import Rendezvous, Rendezvoused
from .serving import Handler
from .standing.discipline import Discipline
from .standing.score import PeerStanding
from .streams import Channel
from .supervise import keep_running
from .swarm import open_swarm
from .ways import Ways
from .whereabouts import Whereabouts


class Host:
    """A running peer. Made by `open_host`."""

    def __init__(self, key: NodeKey, network: Network, nursery: trio.Nursery, options: Options) -> None:
        self.peer_id, self.network, self._nursery = key.peer_id, network, nursery
        # Who is here: connections, and what is held against whom.
        self._discipline = Discipline(options.standing, options.ranges)
        door, guests, standing = self._discipline.door, self._discipline.guests, self._discipline.standing
        self._swarm = open_swarm(key, door, self._discipline.ledger)
        self._whereabouts = Whereabouts(PeerBook(options.peerbook), self._swarm.peerstore)
        self._contacts = Contacts(self.peer_id, self._swarm, nursery, self._whereabouts, standing)
        self._discipline.expel = self._contacts.expel
        # What is said to them: exchanges, gossip, the DHT.
        self._host = SafeHost(self._swarm, self._contacts.is_welcome, self._on_identified)
        self._exchanges = Exchanges(self._host, network, nursery, self._contacts, door, options.uploads)
        self._gossip = Gossip(self._host, network, standing, self._contacts.expel, guests)
        door.keep(self._gossip.proven)
        # Who goes to the public DHT must not be taken for one of its own peers.
        public = "amino" in options.rendezvous
        self.discovery = Discovery(
            self._host,
            network,
            lambda: self._ways.is_reachable(),
            options.ranges,
            self._whereabouts,
            self._contacts.visit,
            options.judge,
            legacy=not public,
        )
        self._contacts.find_peer = self.discovery.find_peer
        # How peers are come by: ways through routers and over relays, and whom to dial at all.
        self._ways = Ways(
            self._host,
            network,
            nursery,
            self._contacts,
            self._exchanges,
            self.discovery,
            self._whereabouts,
            door,
            options,
        )
        self._on_moved: Callable[[], None] = lambda: None
        self._ways.reach.on_change = self._moved
        self._random = Random()
        self._bootstrap = Bootstrap(
            options.bootstraps,
            self._whereabouts.book,
            Company(self._random, options.ranges.wide, grows=options.listens),
            self.connect,
            self._contacts.company,
            self._heard,
        )
        door.keep(self._bootstrap.seeds)
        self._ways.reach.expect(options.bootstraps)
        self._rendezvous: Rendezvous | None = None
        if public:
            self._rendezvous = Rendezvous(
                key,
                network,
                options.ranges,
                options.rendezvous_seeds,
                self.connect,
                self.is_fellow,
                self._contacts.expel,
                lambda: [status.peer_id for status in self.connected()],
                lambda: self.addresses,
            )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others can reach this peer: full multiaddresses with `/p2p/…`; empty when it does not listen."""
        return self._ways.addresses

    def handle(self, protocol: str, handler: Handler) -> None:
        """Serve `protocol` (a name like "infer"). `handler` is called once an exchange, again while more come."""
        self._exchanges.handle(protocol, handler)

    def exchange(self, peer_id: str, protocol: str, *, once: bool = False) -> AbstractAsyncContextManager[Channel]:
        """A channel for one exchange, which must be over when the block is left without an error.

        RemoteError (UNREACHABLE, UNSUPPORTED, LINK_LOST) when none can be had. The stream is kept for the next
        exchange when this one ended in order, with an error of the peer's too; else it is reset. What is said may reach
        the peer twice, the first time without an answer; `once`: never, and a kept stream that died is LINK_LOST.
        """
        return self._exchanges.open(peer_id, protocol, once=once)

    async def connect(self, addresses: Sequence[str], *, timeout: float = bounds.DIAL_TIMEOUT) -> str:
        """Connect to the one peer whose addresses these are, and return its id.

        RemoteError (UNREACHABLE) names every address that was tried and why it failed.
        """
        return await self._contacts.connect(addresses, timeout=timeout)

    def connected(self) -> list[PeerStatus]:
        """The peers that are connected now, one entry each, the oldest connection first."""
        found = self._contacts.connected()
        return [replace(status, relays=HOP in self._host.speaks(ID.from_string(status.peer_id))) for status in found]

    def streams(self) -> int:
        """How many streams are open, with all peers together."""
        return self._contacts.streams()

    def is_fellow(self, peer_id: str) -> bool:
        """Whether the peer said that it serves protocols of this network; not, while it has said nothing yet."""
        return self._host.is_of(self.network, ID.from_string(peer_id))

    def networks_of(self, peer_id: str) -> list[str]:
        """The names of the networks whose protocols the peer said that it serves."""
        return self._host.networks_of(ID.from_string(peer_id))

    def learn(self, peer_id: str, addresses: Iterable[str]) -> None:
        """Remember where a peer may be reached, as its own signed record said, say; bad addresses are left out."""
        self._whereabouts.learn(peer_id, addresses)

    def reachability(self) -> Reachability:
        """How others can reach this peer, and who found that out."""
        return self._ways.reachability()

    def check_reachability(self) -> None:
        """Have other peers dial back now, and not when it is time."""
        self._ways.reach.check()

    def on_addresses_changed(self, call: Callable[[], None]) -> None:
        """Have this called whenever `addresses` or `reachability` change. It must neither wait nor raise."""
        self._on_moved = call

    def standing(self) -> list[PeerStanding]:
        """Peers that are remembered for what they did, the refused ones first, then the worst."""
        return self._discipline.listed()

    def refusals(self) -> dict[str, int]:
        """How often what was refused or held against a peer since the start, by rule."""
        return {**self._discipline.counts(), "streams": self._host.slots.refused}

    def gossip_rules(self) -> dict[str, int]:
        """How often each rule of gossip decided on something since the start, by name (docs/protocol.md)."""
        return self._gossip.counts()

    def ban(self, peer_id: str, seconds: float | None = None) -> None:
        """Refuse the peer for so long, or as long as an offender of its past is, and end its connections."""
        self._discipline.refuse(peer_id, "banned by the operator", seconds)

    def forgive(self, peer_id: str) -> bool:
        """Forget what the peer did; whether it was refused for it."""
        return self._discipline.forgive(peer_id)

    def cut_off(self, peer_id: str) -> None:
        """The peer has proved that it lies: its connections end, and it is refused for a while."""
        self._discipline.refuse(peer_id, "lied")

    async def join(
        self, topic: str, admit: Callable[[bytes, str], Admission], deliver: Callable[[bytes, str], None]
    ) -> None:
        """Take part in a gossip topic (a name like "offers"); see `Gossip.join`."""
        await self._gossip.join(topic, admit, deliver)

    async def publish(self, topic: str, data: bytes) -> None:
        """Say something on a gossip topic; see `Gossip.publish`."""
        await self._gossip.publish(topic, data)

    def neighbours(self, topic: str) -> int:
        """How many connected peers take part in a gossip topic."""
        return self._gossip.peers(topic)

    async def provide(self, digest: bytes) -> bool:
        """Announce in the DHT that this peer has the content; see `Discovery.provide`."""
        return await self.discovery.provide(digest)

    async def find_providers(self, digest: bytes) -> list[str]:
        """Peer ids that are said to have the content; see `Discovery.find_providers`."""
        return await self.discovery.find_providers(digest)

    async def put_record(self, key: bytes, value: bytes) -> bool:
        """Keep a record of ours in the DHT; see `Discovery.put_record`."""
        return await self.discovery.put_record(key, value)

    async def get_record(self, key: bytes) -> bytes | None:
        """The newest good record under a key; see `Discovery.get_record`."""
        return await self.discovery.get_record(key)

    def relaying(self) -> Relaying | None:
        """What this peer relays for others; None when it does not."""
        return self._ways.relaying()

    def bootstrap_report(self) -> list[Attempt]:
        """What was tried to join the network, and why it failed where it did."""
        return self._bootstrap.report()

    def awaited(self) -> list[str]:
        """What is being waited for of seeds that have neither answered nor failed yet, a sentence of each."""
        return self._bootstrap.awaited()

    def is_joining(self) -> bool:
        """Whether somebody may still be found among the seeds and the peers met before: not all were tried yet."""
        return self._bootstrap.is_hopeful()

    def use_bootstraps(self, bootstraps: Sequence[str]) -> None:
        """From now on these are the seeds."""
        self._bootstrap.use(bootstraps)

    def rendezvous(self) -> Rendezvoused | None:
        """What came of meeting through a public network; None where that is off, or was not tried yet."""
        return self._rendezvous.last if self._rendezvous is not None else None

    @asynccontextmanager
    async def run(self, listen: Sequence[Multiaddr]) -> AsyncIterator[None]:
        """Listen, and do all that a peer does, for the length of the block; for `open_host`."""
        self._swarm.register_notifee(Watch(self._on_connected, self._on_disconnected))
        async with self._host.run(listen_addrs=listen):
            if len(self._swarm.listeners) < len(listen):
                failed = [str(a) for a in listen if str(a) not in self._swarm.listeners]
                raise OSError(f"cannot listen on {', '.join(failed)}: is another program using the port?")
            self._ways.reach.look()
            for name, service in self._services().items():
                self._nursery.start_soon(keep_running, name, service)
            try:
                yield
            finally:
                self._nursery.cancel_scope.cancel()
                self._ways.close()
                self._whereabouts.book.save()
                self._discipline.save()
                with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
                    await self._host.close()

    def _services(self) -> dict[str, Callable[[], Awaitable[None]]]:
        services: dict[str, Callable[[], Awaitable[None]]] = {
            **self._ways.services(),
            "gossip": self._gossip.run,
            "the DHT": self.discovery.run,
            "bootstrapping": self._bootstrap.run,
            "stream housekeeping": self._exchanges.keep_house,
            "the peer book": self._whereabouts.keep_book,
            "what is held against peers": self._discipline.keep,
        }
        if self._rendezvous is not None:
            services["meeting through the public DHT"] = self._rendezvous.run
        return services

    def _on_connected(self, connection: INetConn) -> None:
        self._contacts.greet(connection)
        self._ways.reach.connections_changed()

    def _on_disconnected(self, connection: INetConn) -> None:
        self._ways.disconnected(connection)
        self._bootstrap.changed()

    def _moved(self) -> None:
        self.discovery.moved()
        self._on_moved()

    def _on_identified(self, peer_id: str) -> None:
        if self.is_fellow(peer_id):
            self._whereabouts.seen(peer_id, self._contacts.reached_at(peer_id))
        self._bootstrap.changed()
        self.discovery.heard_of(peer_id)
        if self._rendezvous is not None:
            self._rendezvous.heard_of(peer_id)
        self._ways.identified(peer_id)

    def _heard(self) -> Iterator[Candidate]:
        for peer, addresses in self._whereabouts.heard(bounds.BOOT_HEARD, self._random):
            if peer != self.peer_id and self._contacts.is_welcome(peer):
                yield Candidate(peer, addresses, HEARD)
