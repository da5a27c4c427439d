"""The peer on the network: one host that dials, serves, gossips and finds, and that no stranger can take down."""

# ruff: noqa: ASYNC109 — a timeout here has a meaning of its own: it becomes a RemoteError
from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
from libp2p.abc import INetConn, INetStream
from libp2p.custom_types import TProtocol
from libp2p.rcmgr import Direction

from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey
from wire.network import Network

from . import bounds
from .addresses import AddressBook, Multiaddr, listenable, parse_peer, read_address
from .bootstrap import Attempt, Bootstrap
from .dialling import Dialler
from .discovery import Discovery
from .gossip import Admission, Gossip
from .guard import SafeHost, Watch
from .loopback import Loopback, loopback
from .netstream import NetByteStream
from .peerbook import PeerBook
from .pool import Pool, Replay
from .rates import Standing
from .records import Judge
from .serving import Handler, Server, sole
from .streams import ByteStream, Channel
from .supervise import keep_running
from .swarm import open_swarm
from .uploads import Uploads


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer that is connected."""

    peer_id: str
    address: str
    since_ms: int
    outgoing: bool  # whether we dialled it
    rtt: float  # seconds, 0 while not yet measured


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
    ) -> None:
        self.peer_id = key.peer_id
        self.network, self._nursery, self._book = network, nursery, book
        self._addresses, self._standing = AddressBook(), Standing()
        self._uploads, self._server, self._pool = uploads, Server(uploads), Pool[NetByteStream]()
        self._swarm = open_swarm(key)
        self._host = SafeHost(self._swarm, self._is_welcome, self._on_identified)
        self._dialler = Dialler(self._swarm, nursery)
        self._gossip = Gossip(self._host, network, self._standing, self._expel)
        self.discovery = Discovery(self._host, listens, self.learn, self._visit, judge)
        self._bootstrap: Bootstrap | None = None
        self._handlers: dict[str, Handler] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others can reach this peer: full multiaddresses with `/p2p/…`; empty when it does not listen."""
        return tuple(map(str, self._host.get_addrs()))

    def handle(self, protocol: str, handler: Handler) -> None:
        """Serve `protocol` (a name like "infer"). `handler` is called once an exchange, again while more come."""

        async def serve(stream: INetStream) -> None:
            channel = Channel(NetByteStream(stream), str(stream.muxed_conn.peer_id))
            await self._server.serve(protocol, handler, channel)

        self._handlers[protocol] = handler
        self._host.set_stream_handler(TProtocol(self.network.protocol(protocol)), serve)

    @asynccontextmanager
    async def exchange(self, peer_id: str, protocol: str) -> AsyncIterator[Channel]:
        """A channel for one exchange, which must be over when the block is left without an error.

        RemoteError (UNREACHABLE, UNSUPPORTED, LINK_LOST) when none can be had. The stream is kept for the next
        exchange when this one ended in order, with an error of the peer's too; else it is reset.
        """
        pooled = self._pooled(peer_id, protocol)
        stream: ByteStream
        if peer_id == self.peer_id:
            stream = self._to_itself(protocol)
        elif pooled is not None:
            stream = Replay(pooled, lambda: self._fresh(peer_id, protocol))
        else:
            stream = await self._fresh(peer_id, protocol)
        channel, clean = Channel(stream, peer_id), False
        try:
            with self._uploads.beside(protocol):
                yield channel
            clean = True
        except Exception as error:
            clean = channel.error is not None and sole(error) is channel.error
            raise
        finally:
            inner = stream.stream if isinstance(stream, Replay) else stream
            if clean and channel.drained and isinstance(inner, NetByteStream):
                if (over := self._pool.put(peer_id, protocol, inner, trio.current_time())) is not None:
                    await Channel(over, peer_id).reset()
            else:
                await channel.reset()

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
        await self._reach(owner, targets, timeout)
        self.learn(owner, map(str, targets))
        return owner

    def connected(self) -> list[PeerStatus]:
        """The peers that are connected now, one entry each, the oldest connection first."""
        found = []
        for peer, connections in self._swarm.get_connections_map().items():
            for connection in connections:
                if not connection.is_closed:
                    found.append(_status(str(peer), connection))
                    break
        return sorted(found, key=lambda status: status.since_ms)

    def learn(self, peer_id: str, addresses: Iterable[str]) -> None:
        """Remember where a peer may be reached, as its own signed record said, say; bad addresses are left out."""
        self._addresses.learn(peer_id, addresses)

    def cut_off(self, peer_id: str) -> None:
        """The peer has proved that it lies: its connections end, and it is refused for a while."""
        self._standing.refuse(peer_id, trio.current_time())
        self._expel(peer_id)

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

    # What follows serves `open_host` and the parts above.

    async def _reach(self, peer_id: str, targets: Sequence[Multiaddr], timeout: float) -> None:
        if peer_id == self.peer_id:
            raise RemoteError(ErrorCode.UNREACHABLE, "that address is this peer's own", retry=False)
        if self._standing.is_refused(peer_id, trio.current_time()):
            raise RemoteError(ErrorCode.UNREACHABLE, f"peer {peer_id} misbehaved and is refused for a while")
        await self._dialler.connect(peer_id, targets, timeout=timeout)

    async def _reach_known(self, peer_id: str) -> None:
        if self._dialler.is_connected(peer_id):
            return
        tried = self._known(peer_id)
        try:
            await self._reach(peer_id, tried, bounds.DIAL_TIMEOUT)
        except RemoteError:
            # Those we knew are stale or none; somebody else may know better ones.
            await self.discovery.find_peer(peer_id)
            fresh = [address for address in self._known(peer_id) if address not in tried]
            if not fresh:
                raise
            await self._reach(peer_id, fresh, bounds.DIAL_TIMEOUT)

    async def _visit(self, peer_id: str) -> None:
        """Reach a peer of the DHT's, or give up soon: there are others."""
        if not self._dialler.is_connected(peer_id):
            await self._reach(peer_id, self._known(peer_id), bounds.RECORD_PATIENCE)

    def _known(self, peer_id: str) -> list[Multiaddr]:
        texts = dict.fromkeys(self._addresses.of(peer_id))
        for saved in self._book.latest():
            if saved.peer == peer_id:
                texts.update(dict.fromkeys(saved.addresses))
        texts.update(dict.fromkeys(self._said_by(peer_id)))
        found = []
        for text in texts:
            try:
                found.append(read_address(text, peer_id)[1])
            except RemoteError:
                continue
        return found[: bounds.ADDRESSES]

    def _said_by(self, peer_id: str) -> list[str]:
        """The addresses that identify or the DHT left in the library's store."""
        try:
            return list(map(str, self._host.get_peerstore().addrs(parse_peer(peer_id))))
        except Exception:  # the store raises for a peer it does not know, which is an answer like another
            return []

    def _to_itself(self, protocol: str) -> Loopback:
        if (handler := self._handlers.get(protocol)) is None:
            raise RemoteError(ErrorCode.UNSUPPORTED, f"this peer does not serve {protocol} itself")
        near, far = loopback()
        self._nursery.start_soon(self._server.serve, protocol, handler, Channel(far, self.peer_id))
        return near

    def _pooled(self, peer_id: str, protocol: str) -> NetByteStream | None:
        while (stream := self._pool.take(peer_id, protocol)) is not None:
            if stream.resting():
                return stream
            self._nursery.start_soon(Channel(stream, peer_id).reset)
        return None

    async def _fresh(self, peer_id: str, protocol: str) -> NetByteStream:
        await self._reach_known(peer_id)
        name = TProtocol(self.network.protocol(protocol))
        try:
            with trio.fail_after(bounds.OPEN_TIMEOUT):
                return NetByteStream(await self._host.new_stream(parse_peer(peer_id), [name]))
        except trio.TooSlowError:
            text = f"peer {peer_id} opened no stream within {bounds.OPEN_TIMEOUT:.0f} s"
            raise RemoteError(ErrorCode.TIMEOUT, text) from None
        except Exception as error:  # negotiation, muxer and link fail in kinds of their own
            if "protocol" in f"{error} {error.__cause__}".lower() and self._dialler.is_connected(peer_id):
                text = f"peer {peer_id} does not serve {protocol} on the network {self.network.name}"
                raise RemoteError(ErrorCode.UNSUPPORTED, text) from error
            raise RemoteError(ErrorCode.LINK_LOST, f"peer {peer_id}: no stream could be opened ({error})") from error

    def _is_welcome(self, peer_id: str) -> bool:
        return not self._standing.is_refused(peer_id, trio.current_time())

    def _expel(self, peer_id: str) -> None:
        self._nursery.start_soon(self._swarm.close_peer, parse_peer(peer_id))

    def _on_connected(self, connection: INetConn) -> None:
        peer_id = str(connection.muxed_conn.peer_id)
        if not self._is_welcome(peer_id):
            self._nursery.start_soon(connection.close)

    def _on_disconnected(self, _: INetConn) -> None:
        if self._bootstrap is not None:
            self._bootstrap.lost_a_peer()

    def _on_identified(self, peer_id: str) -> None:
        self._book.note(peer_id, map(str, self._known(peer_id)), time.time_ns() // 1_000_000)
        self.discovery.heard_of(peer_id)

    async def _keep_house(self) -> None:
        """End streams that lay idle for too long, and save the peer book."""
        saved = trio.current_time()
        while True:
            await trio.sleep(bounds.POOL_IDLE / 3)
            for stream in self._pool.expire(trio.current_time()):
                await Channel(stream, self.peer_id).reset()
            if trio.current_time() - saved >= bounds.BOOK_PAUSE:
                saved = trio.current_time()
                await trio.to_thread.run_sync(self._book.save)

    @asynccontextmanager
    async def _run(self, listen: Sequence[Multiaddr], bootstraps: Sequence[str]) -> AsyncIterator[None]:
        self._bootstrap = Bootstrap(
            bootstraps,
            lambda: [(saved.peer, [f"{a}/p2p/{saved.peer}" for a in saved.addresses]) for saved in self._book.latest()],
            self.connect,
            lambda: len(self._swarm.connections),
        )
        self._swarm.register_notifee(Watch(self._on_connected, self._on_disconnected))
        async with self._host.run(listen_addrs=listen):
            if len(self._swarm.listeners) < len(listen):
                failed = [str(a) for a in listen if str(a) not in self._swarm.listeners]
                raise OSError(f"cannot listen on {', '.join(failed)}: is another program using the port?")
            self._nursery.start_soon(keep_running, "gossip", self._gossip.run)
            self._nursery.start_soon(keep_running, "the DHT", self.discovery.run)
            self._nursery.start_soon(keep_running, "bootstrapping", self._bootstrap.run)
            self._nursery.start_soon(keep_running, "stream housekeeping", self._keep_house)
            try:
                yield
            finally:
                self._nursery.cancel_scope.cancel()
                self._book.save()
                with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
                    await self._host.close()


def _status(peer_id: str, connection: INetConn) -> PeerStatus:
    addresses = connection.get_transport_addresses()
    return PeerStatus(
        peer_id=peer_id,
        address=str(addresses[0]) if addresses else "",
        since_ms=int(connection._created_at * 1000),  # type: ignore[attr-defined]  # the library offers no other way
        outgoing=connection.direction is Direction.OUTBOUND,  # type: ignore[attr-defined]  # as above
        rtt=connection.muxed_conn.rtt(),  # type: ignore[attr-defined]  # as above
    )


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
