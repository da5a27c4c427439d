"""Exchanges with peers, both ways: handlers by protocol for theirs, and for ours streams that are kept for the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol

from wire.errors import ErrorCode, RemoteError
from wire.network import Network

from . import bounds
from .addresses import parse_peer
from .blobs.uploads import Uploads
from .contacts import Contacts
from .guard import SafeHost
from .loopback import Loopback, loopback
from .netstream import NetByteStream
from .pool import Pool, Replay
from .serving import Handler, Server, sole
from .standing.doorkeeper import Doorkeeper
from .streams import ByteStream, Channel


class Exchanges:
    """Streams of this network's own protocols."""

    def __init__(
        self,
        host: SafeHost,
        network: Network,
        nursery: trio.Nursery,
        contacts: Contacts,
        door: Doorkeeper,
        uploads: Uploads,
    ) -> None:
        self._host, self._network, self._nursery, self._contacts = host, network, nursery, contacts
        self._door = door
        self._uploads, self._server = uploads, Server(uploads)
        self.pool = Pool[NetByteStream]()
        self._handlers: dict[str, Handler] = {}
        self._peer_id = str(host.get_id())

    def handle(self, protocol: str, handler: Handler) -> None:
        """Serve `protocol` (a name like "infer"). `handler` is called once an exchange, again while more come."""
        versions = self._network.protocols(protocol)

        async def serve(stream: INetStream) -> None:
            peer, ours = str(stream.muxed_conn.peer_id), NetByteStream(stream)
            with self._door.guests.using(peer, trio.current_time):
                await self._server.serve(protocol, handler, Channel(ours, peer, versions[ours.protocol]))

        self._handlers[protocol] = handler
        for name in versions:
            self._host.set_stream_handler(TProtocol(name), serve)

    @asynccontextmanager
    async def open(self, peer_id: str, protocol: str, *, once: bool = False) -> AsyncIterator[Channel]:
        """As `Host.exchange`."""
        pooled, versions = self._pooled(peer_id, protocol), self._network.protocols(protocol)
        stream: ByteStream
        if peer_id == self._peer_id:
            stream = self._to_itself(protocol)
        elif pooled is not None and once:
            stream = pooled
        elif pooled is not None:
            # What was said on it is said again on the fresh one, so that has to be of the same version.
            stream = Replay(pooled, lambda: self._fresh(peer_id, protocol, [pooled.protocol]))
        else:
            stream = await self._fresh(peer_id, protocol, list(versions))
        inner = stream.stream if isinstance(stream, Replay) else stream
        agreed = versions[inner.protocol] if isinstance(inner, NetByteStream) else next(iter(versions.values()))
        channel, clean = Channel(stream, peer_id, agreed), False
        try:
            with self._uploads.beside(protocol), self._door.guests.using(peer_id, trio.current_time):
                yield channel
            clean = True
            if peer_id != self._peer_id:
                self._door.standing.credit(peer_id, trio.current_time(), bounds.EXCHANGE_MERIT)
        except Exception as error:
            clean = channel.error is not None and sole(error) is channel.error
            raise
        finally:
            inner = stream.stream if isinstance(stream, Replay) else stream
            if clean and channel.drained and isinstance(inner, NetByteStream):
                if (over := self.pool.put(peer_id, protocol, inner, trio.current_time())) is not None:
                    await Channel(over, peer_id).reset()
            else:
                await channel.reset()

    async def keep_house(self) -> None:
        """End streams that lay idle for too long, for ever."""
        while True:
            await trio.sleep(bounds.POOL_IDLE / 3)
            for stream in self.pool.expire(trio.current_time()):
                await Channel(stream, self._peer_id).reset()

    def _to_itself(self, protocol: str) -> Loopback:
        if (handler := self._handlers.get(protocol)) is None:
            raise RemoteError(ErrorCode.UNSUPPORTED, f"this peer does not serve {protocol} itself")
        near, far = loopback()
        newest = next(iter(self._network.protocols(protocol).values()))
        self._nursery.start_soon(self._server.serve, protocol, handler, Channel(far, self._peer_id, newest))
        return near

    def _pooled(self, peer_id: str, protocol: str) -> NetByteStream | None:
        while (stream := self.pool.take(peer_id, protocol)) is not None:
            if stream.resting() and not (stream.relayed and self._contacts.is_direct(peer_id)):
                return stream
            self._nursery.start_soon(Channel(stream, peer_id).reset)
        return None

    async def _fresh(self, peer_id: str, protocol: str, names: Sequence[str]) -> NetByteStream:
        await self._contacts.reach(peer_id)
        try:
            with trio.fail_after(bounds.OPEN_TIMEOUT):
                return NetByteStream(
                    await self._host.new_stream(parse_peer(peer_id), [TProtocol(name) for name in names])
                )
        except trio.TooSlowError:
            text = f"peer {peer_id} opened no stream within {bounds.OPEN_TIMEOUT:.0f} s"
            raise RemoteError(ErrorCode.TIMEOUT, text) from None
        except Exception as error:  # negotiation, muxer and link fail in kinds of their own
            if "protocol" in f"{error} {error.__cause__}".lower() and self._contacts.is_connected(peer_id):
                text = f"peer {peer_id} does not serve {protocol} on the network {self._network.name}"
                raise RemoteError(ErrorCode.UNSUPPORTED, text) from error
            raise RemoteError(ErrorCode.LINK_LOST, f"peer {peer_id}: no stream could be opened ({error})") from error
