"""The peer on the network: one host that dials, serves, gossips and finds, and that no stranger can take down."""

# ruff: noqa: ASYNC109 — a timeout here has a meaning of its own: it becomes a RemoteError
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import trio
from libp2p.abc import INetConn

from wire.keys import NodeKey
from wire.network import Network

from . import bounds
from .addresses import Multiaddr, listenable
from .bootstrap import Attempt, Bootstrap
from .contacts import Contacts, PeerStatus
from .discovery import Discovery
from .exchanges import Exchanges
from .gossip import Admission, Gossip
from .guard import SafeHost, Watch
from .peerbook import PeerBook
from .reach.state import Reach, Reachability
from .records import Judge
from .serving import Handler, sole
from .standing.doorkeeper import Doorkeeper
from .standing.guests import Guests
from .standing.ranges import Ranges
from .standing.saved import StandingFile
from .standing.score import PeerStanding, Standing
from .streams import Channel
from .supervise import keep_running
from .swarm import open_swarm
from .uploads import Uploads
from .whereabouts import Whereabouts


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
    ) -> None:
        self.peer_id, self.network, self._nursery = key.peer_id, network, nursery
        self._guests = Guests(ranges)
        self._standing, self._standing_file = Standing(self._guests.where), StandingFile(standing)
        self._standing_file.load(self._standing, trio.current_time(), time.time_ns() // 1_000_000)
        self._door = Doorkeeper(self._standing, self._guests)
        self._swarm = open_swarm(key, self._door)
        self._whereabouts = Whereabouts(book, self._swarm.peerstore)
        self._contacts = Contacts(self.peer_id, self._swarm, nursery, self._whereabouts, self._standing)
        self._host = SafeHost(self._swarm, self._contacts.is_welcome, self._on_identified)
        self._exchanges = Exchanges(self._host, network, nursery, self._contacts, uploads)
        self._gossip = Gossip(self._host, network, self._standing, self._contacts.expel)
        self.discovery = Discovery(self._host, network, listens, self.learn, self._contacts.visit, judge)
        self._contacts.find_peer = self.discovery.find_peer
        self._bootstrap: Bootstrap | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others can reach this peer: full multiaddresses with `/p2p/…`; empty when it does not listen."""
        return tuple(map(str, self._host.get_addrs()))

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
        return self._contacts.connected()

    def streams(self) -> int:
        """How many streams are open, with all peers together."""
        return self._contacts.streams()

    def learn(self, peer_id: str, addresses: Iterable[str]) -> None:
        """Remember where a peer may be reached, as its own signed record said, say; bad addresses are left out."""
        self._whereabouts.learn(peer_id, addresses)

    def reachability(self) -> Reachability:
        """How others can reach this peer, and who found that out."""
        return Reachability(state=Reach.LOCAL, listening=tuple(map(str, self._host.get_addrs())), scope="machine")

    def on_addresses_changed(self, call: Callable[[], None]) -> None:
        """Have this called whenever `addresses` or `reachability` change. It must neither wait nor raise."""
        self._moved = call

    def standing(self) -> list[PeerStanding]:
        """Peers that are remembered for what they did, the refused ones first, then the worst."""
        return self._standing.listed(trio.current_time())

    def refusals(self) -> dict[str, int]:
        """How often what was refused or held against a peer since the start, by rule."""
        return dict(self._standing.counts + self._door.refused)

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

    def bootstrap_report(self) -> list[Attempt]:
        """What was tried to join the network, and why it failed where it did."""
        return self._bootstrap.report() if self._bootstrap is not None else []

    # What follows serves `open_host`.

    def _on_disconnected(self, _: INetConn) -> None:
        if self._bootstrap is not None:
            self._bootstrap.lost_a_peer()

    def _on_identified(self, peer_id: str) -> None:
        self._whereabouts.seen(peer_id)
        self.discovery.heard_of(peer_id)

    async def _keep_book(self) -> None:
        while True:
            await trio.sleep(bounds.BOOK_PAUSE)
            await trio.to_thread.run_sync(self._whereabouts.book.save)

    async def _keep_standing(self) -> None:
        banned = trio.Event()
        self._standing.on_ban = lambda: banned.set()  # noqa: PLW0108 — the event is another one each time
        while True:
            with trio.move_on_after(bounds.STANDING_PAUSE):
                await banned.wait()
            banned = trio.Event()
            await trio.to_thread.run_sync(self._save_standing(), abandon_on_cancel=False)

    @asynccontextmanager
    async def _run(self, listen: Sequence[Multiaddr], bootstraps: Sequence[str]) -> AsyncIterator[None]:
        book = self._whereabouts.book
        self._bootstrap = Bootstrap(
            bootstraps,
            lambda: [(saved.peer, [f"{a}/p2p/{saved.peer}" for a in saved.addresses]) for saved in book.latest()],
            self.connect,
            self._contacts.count,
        )
        self._swarm.register_notifee(Watch(self._contacts.greet, self._on_disconnected))
        async with self._host.run(listen_addrs=listen):
            if len(self._swarm.listeners) < len(listen):
                failed = [str(a) for a in listen if str(a) not in self._swarm.listeners]
                raise OSError(f"cannot listen on {', '.join(failed)}: is another program using the port?")
            for name, service in {
                "gossip": self._gossip.run,
                "the DHT": self.discovery.run,
                "bootstrapping": self._bootstrap.run,
                "stream housekeeping": self._exchanges.keep_house,
                "the peer book": self._keep_book,
            }.items():
                self._nursery.start_soon(keep_running, name, service)
            try:
                yield
            finally:
                self._nursery.cancel_scope.cancel()
                book.save()
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
) -> AsyncIterator[Host]:
    """Run a peer for the length of the block.

    `listen`: multiaddresses like `/ip4/0.0.0.0/tcp/4001`, or none for a peer that only dials. `bootstraps`: full
    multiaddresses. `peerbook`: where known peers are saved. `judge`: ranks the DHT's value records, which without one
    are all refused. `uploads`: what gives way to exchanges. ValueError for a `listen` that is no such address, OSError
    when it cannot be listened on.
    """
    targets = [listenable(address) for address in listen]
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            host = Host(key, network, nursery, bool(listen), PeerBook(peerbook), judge, uploads or Uploads())
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
