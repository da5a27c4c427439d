"""The DHT's client: one question to one peer, a walk to the peers nearest to a key, and telling those something.

Source: the libp2p specification kad-dht. Every call is bounded in time and raises nothing for peers' sake.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.peer.id import ID
from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes_limited

from .. import bounds
from ..addresses import Multiaddr
from ..guard import SafeHost, reset
from ..lookup import Lookup
from ..reach.dialback import direct_ip
from ..reach.places import Places, Scope, tellable
from .table import Table

log = logging.getLogger(__name__)

Hint = Callable[[str, Iterable[str]], None]


class Asker:
    """Asks peers of the table, and those that they name."""

    def __init__(
        self,
        host: SafeHost,
        protocols: Sequence[TProtocol],
        table: Table,
        places: Places,
        visit: Callable[[str], Awaitable[None]],
        hint: Hint,
    ) -> None:
        """`visit` connects to a peer, or raises; `hint` hears where peers are said to be."""
        self._host, self._protocols, self._table, self._places = host, protocols, table, places
        self._visit, self._hint = visit, hint

    async def walk(
        self,
        question: Message,
        heard: Callable[[ID, Message], None] = lambda *_: None,
        enough: Callable[[], bool] = lambda: False,
    ) -> list[ID]:
        """Ask the peers ever nearer to the question's key, and `heard` hears each answer. The nearest that answered.

        Once there is `enough`, slow peers are waited for no longer.
        """
        key = question.key
        lookup = Lookup(key, self._table.nearest(key), self._host.get_id())
        changed = trio.Event()

        async def ask(peer: ID) -> None:
            answer = None
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lag, peer)
                answer = await self.ask(peer, question, accepts=lambda said: said.type == question.type)
                nursery.cancel_scope.cancel()
            if answer is None:
                lookup.failed(peer)
            else:
                heard(peer, answer)
                lookup.answered(peer, self.named(peer, answer))
            changed.set()

        async def lag(peer: ID) -> None:
            await trio.sleep(bounds.LOOKUP_SLOW)
            lookup.lags(peer)
            changed.set()

        with trio.move_on_after(bounds.LOOKUP_TIMEOUT):
            async with trio.open_nursery() as nursery:
                while not lookup.done and not (lookup.lagging and enough()):
                    changed = trio.Event()
                    while (peer := lookup.next()) is not None:
                        nursery.start_soon(ask, peer)
                    await changed.wait()
                nursery.cancel_scope.cancel()
        return lookup.closest()

    async def tell(self, peers: Iterable[ID], words: Sequence[Message], accepts: Callable[[Message], bool]) -> int:
        """Say the words to each of `peers`; how many gave an answer that shows that they took them."""
        taken, turns = 0, trio.Semaphore(bounds.LOOKUP_AT_ONCE)

        async def give(peer: ID) -> None:
            nonlocal taken
            async with turns:
                taken += await self.ask(peer, *words, accepts=accepts) is not None

        with trio.move_on_after(bounds.PROVIDE_TIMEOUT):
            async with trio.open_nursery() as nursery:
                for peer in peers:
                    nursery.start_soon(give, peer)
        return taken

    async def ask(self, peer: ID, *messages: Message, accepts: Callable[[Message], bool]) -> Message | None:
        """Say all of these to the peer; the first answer to one of them that `accepts` takes.

        A peer that cannot be reached or says nothing leaves the table; one that says no stays.
        """
        stream: INetStream | None = None
        try:
            with trio.move_on_after(bounds.RECORD_PATIENCE) as scope:
                await self._visit(str(peer))
                stream = await self._host.new_stream(peer, self._protocols)
                await stream.write(b"".join(encode_varint_prefixed(each.SerializeToString()) for each in messages))
                for _ in messages:
                    said = await read_varint_prefixed_bytes_limited(stream, bounds.DHT_MESSAGE)
                    answer = Message.FromString(said)
                    self._table.heard(peer, trio.current_time())
                    if accepts(answer):
                        return answer
            if scope.cancelled_caught:
                self._table.remove(peer)
        except Exception as error:  # dialling, streams and protobuf fail in kinds of their own: it has not answered
            log.debug("%s did not answer in the DHT: %r", peer, error)
            if stream is None:
                self._table.remove(peer)
        finally:
            if stream is not None:
                await reset(stream)
        return None

    def named(self, by: ID, answer: Message) -> list[ID]:
        """The nearer peers that an answer of `by` names."""
        return self._read(by, answer.closerPeers)

    def providers(self, by: ID, answer: Message) -> list[ID]:
        """The providers that it names."""
        return self._read(by, answer.providerPeers)

    def _read(self, by: ID, peers: Sequence[Message.Peer]) -> list[ID]:
        """Their ids. Their addresses are hints, but for names and those that are nearer to us than `by` is.

        Else it could have us knock on doors in our own LAN.
        """
        found, scope = [], self._scope(by)
        for peer in peers[: bounds.CLOSEST]:
            if len(peer.id) > bounds.PEER_ID:
                continue
            try:
                named = ID(peer.id)
                raws = [raw for raw in peer.addrs[: bounds.ADDRESSES] if len(raw) <= bounds.ADDRESS_TEXT]
                said = [text for text in map(str, map(Multiaddr, raws)) if not text.startswith("/dns")]
                self._hint(str(named), tellable(said, self._places, scope))
                found.append(named)
            except Exception:  # a stranger's bytes, which two libraries parse
                log.debug("a peer was named that cannot be read")
        return found

    def _scope(self, peer: ID) -> Scope:
        ips = [direct_ip(connection) for connection in self._host.swarm.get_connections(peer)]
        return min((self._places.scope(ip) for ip in ips if ip is not None), default=Scope.GLOBAL)
