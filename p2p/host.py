"""The peer on the network: one host that dials, serves, gossips and finds, and that no stranger can take down."""

# ruff: noqa: ASYNC109 — a timeout here has a meaning of its own: it becomes a RemoteError
from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import trio
from libp2p.abc import INetConn
from libp2p.peer.id import ID

from wire.keys import NodeKey
from wire.network import Network

from . import bounds
from .addresses import Multiaddr, listenable
from .contacts import Contacts, PeerStatus
from .discovery import Discovery
from .exchanges import Exchanges
from .gossip import Admission, Gossip
from .guard import SafeHost, Watch
from .joining.bootstrap import Attempt, Bootstrap
from .joining.company import HEARD, Candidate, Company, Contact
from .joining.peerbook import PeerBook
from .reach.dialback import NAME as REACH
from .reach.places import Places
from .reach.service import Reaching
from .reach.state import Reach, Reachability
from .records import Judge
from .relay.circuit import Circuits
from .relay.client import Relays
from .relay.limits import Relaying
from .relay.messages import HOP
from .relay.service import Relay, relay_key
from .relay.upgrading import Upgrades
from .relay.vantage import Vantage
from .rendezvous.amino import SEEDS
from .rendezvous.service import Rendezvous, Rendezvoused
from .serving import Handler, sole
from .standing.doorkeeper import Doorkeeper
from .standing.guests import Guests
from .standing.ledger import Ledger
from .standing.ranges import Ranges
from .standing.saved import StandingFile
from .standing.score import PeerStanding, Standing
from .streams import Channel
from .supervise import keep_running
from .swarm import open_swarm
from .uploads import Uploads
from .whereabouts import Whereabouts

OVER_RELAYS = "/p2p-circuit"  # what a peer listens on that is reached over relays, public or not


class Host:
    """A running peer. Made by `open_host`."""

    def __init__(
        self,
        key: NodeKey,
        network: Network,
        nursery: trio.Nursery,
        listens: bool,
        book: PeerBook,
        judge: Judge | None,
        uploads: Uploads,
        standing: Path | None,
        ranges: Ranges,
        relay: bool,
        relays: Sequence[str],
        over_relays: bool,
        announce: Sequence[str],
        port_mapping: bool,
        mdns: bool,
        rendezvous_seeds: Sequence[str] | None,
    ) -> None:
        self.peer_id, self.network, self._nursery = key.peer_id, network, nursery
        self._listens, self._over_relays = listens, over_relays
        self._guests = Guests(ranges)
        self._standing = Standing(self._guests.where)
        self._saved = StandingFile(standing, self._standing)
        self._saved.load(trio.current_time(), time.time_ns() // 1_000_000)
        self._door, self._ledger = Doorkeeper(self._standing, self._guests), Ledger()
        self._ledger.flooded = self._on_flood
        self._swarm = open_swarm(key, self._door, self._ledger)
        self._whereabouts = Whereabouts(book, self._swarm.peerstore)
        self._contacts = Contacts(self.peer_id, self._swarm, nursery, self._whereabouts, self._standing)
        self._host = SafeHost(self._swarm, self._contacts.is_welcome, self._on_identified)
        self._exchanges = Exchanges(self._host, network, nursery, self._contacts, self._door, uploads)
        self._reach = Reaching(self._host, network.protocol(REACH), self.exchange, announce, port_mapping, ranges)
        self._lan = self._reach.lan(self.peer_id, network.name, self._meet) if mdns else None
        self.handle(REACH, self._reach.serve)
        self._gossip = Gossip(self._host, network, self._standing, self._contacts.expel, self._guests.where)
        self._door.keep(self._gossip.proven)
        # Who goes to the public DHT must not be taken for one of its own peers.
        legacy = rendezvous_seeds is None
        self.discovery = Discovery(self._host, network, listens, self.learn, self._contacts.visit, judge, legacy)
        self._contacts.find_peer = self.discovery.find_peer
        self._vantage = Vantage(self._host, self._contacts.reach_relay)
        self._upgrades = Upgrades(
            self._host, nursery, self._contacts.dialler, self._whereabouts.of, self._vantage, Places(ranges.wide)
        )
        self._relays = Relays(
            self._host,
            relays,
            self._is_private,
            self._vantage.reach,
            lambda: self.discovery.find_providers(relay_key(network)),
            self._whereabouts.of,
            self._reach.wake,
        )
        self._circuits = Circuits(self._host, self._vantage.reach, self._relays.holds)
        self._contacts.dialler.dial_circuit = self._circuits.dial
        self._host.circuits = self._relays.circuits
        self._door.keep(self._relays.held)
        self._relay = Relay(self._host, network, lambda: self.addresses, self._is_reachable) if relay else None
        if self._relay is not None:
            self._door.keep(self._relay.holders)
        self._rendezvous: Rendezvous | None = None
        if rendezvous_seeds is not None:
            self._rendezvous = Rendezvous(
                key,
                network,
                ranges,
                rendezvous_seeds,
                self.connect,
                self._is_of_network,
                self._contacts.expel,
                lambda: [status.peer_id for status in self.connected()],
                lambda: self.addresses,
            )
        self._random = Random()
        self._bootstrap: Bootstrap | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others can reach this peer: full multiaddresses with `/p2p/…`; empty when it does not listen."""
        own = [f"{address}/p2p/{self.peer_id}" for address in self._reach.recorded()]
        return tuple(dict.fromkeys([*own, *self._host.circuits()]))

    def handle(self, protocol: str, handler: Handler) -> None:
        """Serve `protocol` (a name like "infer"). `handler` is called once an exchange, again while more come."""
        self._exchanges.handle(protocol, handler)

    def exchange(self, peer_id: str, protocol: str) -> AbstractAsyncContextManager[Channel]:
        """A channel for one exchange, which must be over when the block is left without an error.

        RemoteError (UNREACHABLE, UNSUPPORTED, LINK_LOST) when none can be had. The stream is kept for the next
        exchange when this one ended in order, with an error of the peer's too; else it is reset.
        """
        return self._exchanges.open(peer_id, protocol)

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

    def learn(self, peer_id: str, addresses: Iterable[str]) -> None:
        """Remember where a peer may be reached, as its own signed record said, say; bad addresses are left out."""
        self._whereabouts.learn(peer_id, addresses)

    def reachability(self) -> Reachability:
        """How others can reach this peer, and who found that out."""
        return replace(self._reach.found(), relays=tuple(self._host.circuits()))

    def check_reachability(self) -> None:
        """Have other peers dial back now, and not when it is time."""
        self._reach.check()

    def on_addresses_changed(self, call: Callable[[], None]) -> None:
        """Have this called whenever `addresses` or `reachability` change. It must neither wait nor raise."""
        self._reach.on_change = call

    def standing(self) -> list[PeerStanding]:
        """Peers that are remembered for what they did, the refused ones first, then the worst."""
        return self._standing.listed(trio.current_time())

    def refusals(self) -> dict[str, int]:
        """How often what was refused or held against a peer since the start, by rule."""
        return {
            **self._standing.counts,
            **self._door.refused,
            "memory": self._ledger.shed,
            "streams": self._host.slots.refused,
        }

    def gossip_rules(self) -> dict[str, int]:
        """How often each rule of gossip decided on something since the start, by name (docs/protocol.md)."""
        return self._gossip.counts()

    def ban(self, peer_id: str, seconds: float | None = None) -> None:
        """Refuse the peer for so long, or as long as an offender of its past is, and end its connections."""
        self._standing.refuse(peer_id, trio.current_time(), rule="banned by the operator", seconds=seconds)
        self._contacts.expel(peer_id)

    def forgive(self, peer_id: str) -> bool:
        """Forget what the peer did; whether it was refused for it."""
        return self._standing.forgive(peer_id, trio.current_time())

    def cut_off(self, peer_id: str) -> None:
        """The peer has proved that it lies: its connections end, and it is refused for a while."""
        self._standing.refuse(peer_id, trio.current_time(), rule="lied")
        self._contacts.expel(peer_id)

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
        return self._relay.relaying() if self._relay is not None else None

    def bootstrap_report(self) -> list[Attempt]:
        """What was tried to join the network, and why it failed where it did."""
        return self._bootstrap.report() if self._bootstrap is not None else []

    def is_joining(self) -> bool:
        """Whether somebody may still be found among the seeds and the peers met before: not all were tried yet."""
        return self._bootstrap is not None and self._bootstrap.is_hopeful()

    def use_bootstraps(self, bootstraps: Sequence[str]) -> None:
        """From now on these are the seeds."""
        if self._bootstrap is not None:
            self._bootstrap.use(bootstraps)

    def rendezvous(self) -> Rendezvoused | None:
        """What came of meeting through a public network; None where that is off, or was not tried yet."""
        return self._rendezvous.last if self._rendezvous is not None else None

    # What follows serves `open_host`.

    def _is_private(self) -> bool | None:
        found = self.reachability()
        if self._over_relays or not self._listens:
            return self._over_relays
        unsure = found.state is Reach.CHECKING and not found.confirmed
        return None if unsure else found.state is Reach.PRIVATE

    def _is_reachable(self) -> bool:
        # While nobody can tell yet, those who ask reached us, which is all that they need.
        return self._listens and self.reachability().state is not Reach.PRIVATE

    async def _meet(self, peer_id: str, addresses: Sequence[str]) -> None:
        self.learn(peer_id, addresses)
        await self._contacts.reach(peer_id)

    def _on_connected(self, connection: INetConn) -> None:
        self._contacts.greet(connection)
        self._reach.connections_changed()

    def _on_flood(self, peer_id: str, weight: float) -> None:
        if self._standing.offend(peer_id, trio.current_time(), weight, rule="empty frames"):
            self._contacts.expel(peer_id)

    def _on_disconnected(self, connection: INetConn) -> None:
        self._reach.connections_changed()
        self._relays.disconnected(connection)
        if self._relay is not None:
            self._relay.disconnected(connection)
        if self._bootstrap is not None:
            self._bootstrap.changed()

    def _on_identified(self, peer_id: str) -> None:
        if self._is_of_network(peer_id):
            self._whereabouts.seen(peer_id, self._contacts.reached_at(peer_id))
        if self._bootstrap is not None:
            self._bootstrap.changed()
        self.discovery.heard_of(peer_id)
        if self._rendezvous is not None:
            self._rendezvous.heard_of(peer_id)
        self._relays.identified(peer_id)
        self._upgrades.identified(peer_id)

    def _company(self) -> list[Contact]:
        """Who is connected, as whoever looks for company sees it: over a relay one is reached by its leave alone."""
        return [
            Contact(one.peer_id, one.address, one.outgoing and not one.relayed, one.since_ms)
            for one in self._contacts.connected()
        ]

    def _heard(self) -> Iterator[Candidate]:
        for peer, addresses in self._whereabouts.heard(bounds.BOOT_HEARD, self._random):
            if peer != self.peer_id and self._contacts.is_welcome(peer):
                yield Candidate(peer, addresses, HEARD)

    def _is_of_network(self, peer_id: str) -> bool:
        return self._host.is_of(self.network, ID.from_string(peer_id))

    async def _keep_book(self) -> None:
        self._whereabouts.book.forget_old(time.time_ns() // 1_000_000)
        while True:
            await trio.sleep(bounds.BOOK_PAUSE)
            await trio.to_thread.run_sync(self._whereabouts.book.save)

    @asynccontextmanager
    async def _run(self, listen: Sequence[Multiaddr], bootstraps: Sequence[str]) -> AsyncIterator[None]:
        book = self._whereabouts.book
        self._bootstrap = Bootstrap(
            bootstraps,
            book,
            Company(self._random, self._guests.ranges.wide, grows=self._listens),
            self.connect,
            self._company,
            self._heard,
        )
        self._door.keep(self._bootstrap.seeds)
        self._swarm.register_notifee(Watch(self._on_connected, self._on_disconnected))
        async with self._host.run(listen_addrs=listen):
            if len(self._swarm.listeners) < len(listen):
                failed = [str(a) for a in listen if str(a) not in self._swarm.listeners]
                raise OSError(f"cannot listen on {', '.join(failed)}: is another program using the port?")
            self._reach.expect(bootstraps)
            self._reach.look()
            met = {"meeting through the public DHT": self._rendezvous.run} if self._rendezvous is not None else {}
            relay, provide = self._relay, self.discovery.provide
            relaying = {"saying that it relays": lambda: relay.announce(provide)} if relay is not None else {}
            near = {"peers in the same LAN": self._lan.run} if self._lan is not None else {}
            for name, service in {
                **met,
                **near,
                **relaying,
                "reachability": self._reach.run,
                "gossip": self._gossip.run,
                "the DHT": self.discovery.run,
                "bootstrapping": self._bootstrap.run,
                "stream housekeeping": self._exchanges.keep_house,
                "the peer book": self._keep_book,
                "what is held against peers": self._saved.keep,
                "being reached over relays": self._relays.run,
                "connections in reserve": self._upgrades.keep_house,
            }.items():
                self._nursery.start_soon(keep_running, name, service)
            try:
                yield
            finally:
                self._nursery.cancel_scope.cancel()
                self._vantage.close()
                book.save()
                self._saved.save()
                with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
                    await self._host.close()


@asynccontextmanager
async def open_host(
    key: NodeKey,
    network: Network,
    *,
    listen: Sequence[str],
    bootstraps: Sequence[str] = (),
    peerbook: Path | None = None,
    judge: Judge | None = None,
    uploads: Uploads | None = None,
    standing: Path | None = None,
    announce: Sequence[str] = (),
    port_mapping: bool = False,
    mdns: bool = False,
    relay: bool = False,
    relays: Sequence[str] = (),
    ranges: Ranges | None = None,
    rendezvous: Sequence[str] = (),
    rendezvous_seeds: Sequence[str] = SEEDS,
) -> AsyncIterator[Host]:
    """Run a peer for the length of the block.

    `listen`: multiaddresses like `/ip4/0.0.0.0/tcp/4001`, or none for a peer that only dials; `/p2p-circuit` for one
    that is to be reached over relays whatever else. `relay`: relay for others. `relays`: full multiaddresses of those
    to be reached over, tried first. `bootstraps`: full multiaddresses. `peerbook`: where known peers are saved.
    `judge`: ranks the DHT's value records, which without one are all refused. `uploads`: what gives way to exchanges.
    `standing`: where is kept what peers did and who is refused. `announce`: addresses that the operator vouches for,
    told to everybody unchecked. `port_mapping`: a router in between may be asked to let others in. `mdns`: look for
    peers in the same LAN. `ranges`: which addresses are neighbours, where those of the world's networks will not do.
    `rendezvous`: public networks over which peers of this one are met, "amino" or none; `rendezvous_seeds`: how it is
    entered. ValueError for a `listen` that is no such address, OSError when it cannot be listened on.
    """
    targets = [listenable(address) for address in listen if address != OVER_RELAYS]
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            host = Host(
                key,
                network,
                nursery,
                bool(targets),
                PeerBook(peerbook),
                judge,
                uploads or Uploads(),
                standing,
                ranges or Ranges(),
                relay,
                relays,
                OVER_RELAYS in listen,
                announce,
                port_mapping,
                mdns,
                rendezvous_seeds if "amino" in rendezvous else None,
            )
            async with host._run(targets, bootstraps):
                try:
                    yield host
                except Exception as error:  # carried around the library's services: an exception is lost in their end
                    failure = error
    except ExceptionGroup as group:
        # What the block raised passed through nurseries that are nobody's business but ours.
        raised = sole(group)
        raise raised from raised.__cause__
    if failure is not None:
        raise failure
