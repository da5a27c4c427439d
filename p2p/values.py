"""Putting value records into the DHT and finding the newest there is.

Our own client of the library's protocol, because the library's answers from its own store without asking anybody,
loses what it found when one peer is silent, and takes 4 MiB from whoever it asks. Finding and putting are one lookup
of GET_VALUE: who puts meets a newer record before it bothers anybody with an older one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable

import trio
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.common import PROTOCOL_ID
from libp2p.kad_dht.kad_dht import KadDHT
from libp2p.kad_dht.pb.kademlia_pb2 import Message, Record
from libp2p.peer.id import ID
from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes_limited
from multiaddr import Multiaddr

from . import bounds
from .guard import SafeHost, reset
from .lookup import Lookup
from .records import Records

log = logging.getLogger(__name__)


class Values:
    """The client's side. Every call is bounded in time and raises nothing for peers' sake."""

    def __init__(
        self,
        host: SafeHost,
        records: Records,
        learn: Callable[[str, Iterable[str]], None],
        reach: Callable[[str], Awaitable[None]],
    ) -> None:
        self._host, self._records, self._learn, self._reach = host, records, learn, reach

    async def find(self, dht: KadDHT, name: bytes) -> list[ID]:
        """Ask those nearest to `name`; what is good of what they hold is offered to the records. Who answered."""
        lookup = Lookup(name, dht.routing_table.find_local_closest_peers(name, bounds.CLOSEST), self._host.get_id())
        changed = trio.Event()

        async def ask(peer: ID) -> None:
            answer = await self._exchange(peer, Message(type=Message.GET_VALUE, key=name))
            if answer is None or answer.type != Message.GET_VALUE:
                lookup.failed(peer)
            else:
                if answer.HasField("record") and answer.record.key == name:
                    self._records.offer(name, answer.record.value)
                lookup.answered(peer, self._named(answer))
            changed.set()

        with trio.move_on_after(bounds.LOOKUP_TIMEOUT):
            async with trio.open_nursery() as nursery:
                while not lookup.done:
                    while (peer := lookup.next()) is not None:
                        nursery.start_soon(ask, peer)
                    await changed.wait()
                    changed = trio.Event()
        return lookup.closest()

    async def put(self, dht: KadDHT, name: bytes, value: bytes) -> int:
        """Give the record to those nearest to its name; how many took it. 0 when there is a newer one."""
        peers = await self.find(dht, name)
        if not self._records.offer(name, value):
            return 0
        taken, turns = 0, trio.Semaphore(bounds.LOOKUP_AT_ONCE)
        message = Message(type=Message.PUT_VALUE, key=name, record=Record(key=name, value=value))

        async def give(peer: ID) -> None:
            nonlocal taken
            async with turns:
                answer = await self._exchange(peer, message)
            # A peer that refuses resets the stream; who takes the record sends it back.
            taken += answer is not None and answer.type == Message.PUT_VALUE and answer.record.value == value

        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(give, peer)
        return taken

    async def _exchange(self, peer: ID, message: Message) -> Message | None:
        data, stream = message.SerializeToString(), None
        try:
            with trio.move_on_after(bounds.RECORD_PATIENCE):
                await self._reach(str(peer))
                stream = await self._host.new_stream(peer, [TProtocol(PROTOCOL_ID)])
                await stream.write(encode_varint_prefixed(data))
                said = await read_varint_prefixed_bytes_limited(stream, bounds.DHT_MESSAGE)
                return Message.FromString(said)
        except Exception as error:  # dialling, streams and protobuf fail in kinds of their own: it has not answered
            log.debug("%s did not answer in the DHT: %r", peer, error)
        finally:
            if stream is not None:
                await reset(stream)
        return None

    def _named(self, answer: Message) -> list[ID]:
        """The peers that an answer names; their addresses are learnt, as hints."""
        found = []
        for peer in answer.closerPeers[: bounds.CLOSEST]:
            try:
                named = ID(peer.id)
                self._learn(str(named), [str(Multiaddr(raw)) for raw in peer.addrs[: bounds.ADDRESSES]])
                found.append(named)
            except Exception:  # a stranger's bytes, which two libraries parse
                log.debug("a peer was named that cannot be read")
        return found
