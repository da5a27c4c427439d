"""The DHT's server: what this peer answers to others, each of whom gets a little of its time and room.

Source: the libp2p specification kad-dht. On any fault the stream is reset. Nobody is told an address that means nothing
where it is: those of a LAN stay in the LAN.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable

import trio
from libp2p.abc import IMuxedConn, INetStream
from libp2p.io.exceptions import IncompleteReadError
from libp2p.kad_dht.common import format_time_rfc3339
from libp2p.kad_dht.pb.kademlia_pb2 import Message, Record
from libp2p.peer.id import ID
from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes_limited

from .. import bounds
from ..addresses import Multiaddr
from ..guard import SafeHost, finish, reset
from ..rates import Rates
from ..reach.dialback import direct_ip
from ..reach.places import Places, Scope, scope_of
from ..standing.ranges import RangeOf
from .providers import Providers
from .records import Records
from .table import Table

_KNOWN_KEY = 128  # bytes of a key that is only looked up: other implementations ask for longer ones than we keep


class Server:
    """Answers from a table, providers and records."""

    def __init__(
        self,
        host: SafeHost,
        table: Table,
        providers: Providers,
        records: Records,
        places: Places,
        range_of: RangeOf,
        provides: Callable[[bytes], bool],
        where: Callable[[str], Iterable[Multiaddr]],
    ) -> None:
        """`provides`: whether this peer provides a key. `where`: what is known of where a peer is."""
        self._host, self._table, self._providers, self._records = host, table, providers, records
        self._places, self._range_of, self._provides, self._where = places, range_of, provides, where
        self._streams: Counter[str] = Counter()
        self._questions = Rates(bounds.DHT_RATE, bounds.DHT_BURST)
        self._stores = Rates(bounds.STORE_RATE, bounds.STORE_BURST)
        self._addresses: OrderedDict[ID, tuple[float, list[tuple[Scope, bytes]]]] = OrderedDict()

    async def serve(self, stream: INetStream) -> None:
        """Answer what comes on one stream."""
        peer = str(stream.muxed_conn.peer_id)
        if self._streams[peer] >= bounds.DHT_STREAMS_PER_PEER:
            await reset(stream)
            return
        self._streams[peer] += 1
        try:
            with trio.move_on_after(bounds.DHT_STREAM_TIME):
                if await self._answer_all(stream):
                    await finish(stream)
                    return
            await reset(stream)
        finally:
            self._streams[peer] -= 1
            if not self._streams[peer]:
                del self._streams[peer]

    async def _answer_all(self, stream: INetStream) -> bool:
        """Whether it ended in order."""
        while True:
            try:
                data = await read_varint_prefixed_bytes_limited(stream, bounds.DHT_MESSAGE)
                question = Message.FromString(data)
            except IncompleteReadError as error:
                return not error.received_bytes
            except Exception:  # streams and protobuf fail in kinds of their own, as the stranger likes
                return False
            answer = self.answer(stream.muxed_conn, question, trio.current_time())
            if answer is None:
                return False
            await stream.write(encode_varint_prefixed(answer.SerializeToString()))

    def answer(self, connection: IMuxedConn, question: Message, now: float) -> Message | None:
        """What the peer behind the connection is answered; None for what is refused."""
        peer, ip = connection.peer_id, direct_ip(connection)
        scope = Scope.GLOBAL if ip is None else self._places.scope(ip)  # over a relay may be anybody
        if not self._questions.take(str(peer), now):
            return None
        answer = Message(type=question.type, key=question.key)
        if question.type == Message.PING:
            return answer
        if not 0 < len(question.key) <= _KNOWN_KEY:
            return None
        if question.type in (Message.ADD_PROVIDER, Message.PUT_VALUE):
            if not self._stores.take(str(peer), now):
                return None
            if question.type == Message.PUT_VALUE:
                return question if self._put(peer, question, now) else None
            range_ = self._range_of(str(ip)) if ip is not None else None
            return answer if self._note(peer, question, range_, now) else None
        if question.type == Message.GET_VALUE:
            value = self._records.newest(question.key, now)
            if value is not None:
                # Others' records hold a time, which means nothing here.
                answer.record.CopyFrom(Record(key=question.key, value=value, timeReceived=format_time_rfc3339()))
        elif question.type == Message.GET_PROVIDERS:
            self._name_providers(answer, peer, scope, now)
        elif question.type != Message.FIND_NODE:
            return None
        self._name_nearer(answer, peer, scope, now)
        return answer

    def _put(self, peer: ID, question: Message, now: float) -> bool:
        record = question.record
        return question.key == record.key and self._records.offer(record.key, record.value, str(peer), now)

    def _note(self, peer: ID, question: Message, range_: str | None, now: float) -> bool:
        """A peer is believed about itself alone, and only with an address."""
        itself = next((p for p in question.providerPeers[: bounds.CLOSEST] if p.id == peer.to_bytes()), None)
        if itself is None or len(question.key) > bounds.DHT_KEY:
            return False
        raws = [raw for raw in itself.addrs[: bounds.ADDRESSES] if len(raw) <= bounds.ADDRESS_TEXT]
        addresses = [(scope_of(text, self._places), raw) for raw, text in _read(raws)]
        return bool(addresses) and self._providers.add(question.key, itself.id, addresses, range_, now)

    def _name_providers(self, answer: Message, asker: ID, scope: Scope, now: float) -> None:
        if self._provides(answer.key):
            own = [raw.to_bytes() for raw in self._host.get_addrs()]  # as told over this connection
            answer.providerPeers.add(id=self._host.get_id().to_bytes(), addrs=own, connection=Message.CONNECTED)
        for peer, addresses in self._providers.of(answer.key, asker.to_bytes(), now):
            far = [raw for reaches, raw in addresses if reaches >= scope]
            answer.providerPeers.add(id=peer, addrs=far, connection=self._connection(ID(peer)))

    def _name_nearer(self, answer: Message, asker: ID, scope: Scope, now: float) -> None:
        nearest = [peer for peer in self._table.nearest(answer.key, bounds.CLOSEST + 1) if peer != asker]
        nearest = nearest[: bounds.CLOSEST]
        if answer.type == Message.FIND_NODE:  # who is looked for is named whether it serves or not
            target = ID(answer.key)
            if target == self._host.get_id():
                own = [raw.to_bytes() for raw in self._host.get_addrs()]
                answer.closerPeers.add(id=answer.key, addrs=own, connection=Message.CONNECTED)
            else:
                nearest = [target, *(peer for peer in nearest if peer != target)]
        for peer in nearest:
            if addresses := [raw for reaches, raw in self._addresses_of(peer, now) if reaches >= scope]:
                told = addresses[: bounds.DHT_TOLD]
                answer.closerPeers.add(id=peer.to_bytes(), addrs=told, connection=self._connection(peer))

    def _connection(self, peer: ID) -> Message.ConnectionType:
        return Message.CONNECTED if self._host.swarm.get_connections(peer) else Message.CAN_CONNECT

    def _addresses_of(self, peer: ID, now: float) -> list[tuple[Scope, bytes]]:
        until, found = self._addresses.pop(peer, (now, []))
        if until <= now:
            known = list(self._where(str(peer)))
            until = now + bounds.DHT_ADDRESSES_AGAIN
            found = [(scope_of(str(address), self._places), address.to_bytes()) for address in known]
        self._addresses[peer] = until, found
        if len(self._addresses) > bounds.LOOKUP_SEEN:
            self._addresses.popitem(last=False)
        return found


def _read(addresses: Iterable[bytes]) -> list[tuple[bytes, str]]:
    """Those that are addresses, as bytes and as text."""
    found = []
    for raw in addresses:
        try:
            found.append((raw, str(Multiaddr(raw))))
        except Exception:  # multiaddr raises many kinds for bad bytes
            continue
    return found
