"""A client of a public Kademlia DHT, Amino (that of IPFS) by default, for the length of one errand.

Source: the libp2p specification kad-dht. The connections are of a swarm that listens to nobody and serves nothing but
identify and ping, under this peer's key, because a peer is believed only about itself there.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import trio
from libp2p.abc import INetStream
from libp2p.kad_dht.common import PROTOCOL_ID
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.peer.id import ID
from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes_limited

from wire.keys import NodeKey

from .. import bounds
from ..addresses import Multiaddr
from ..guard import SafeHost, reset
from ..lookup import Lookup
from ..reach.places import Places, Scope, scope_of, tellable
from ..standing.doorkeeper import Doorkeeper
from ..standing.guests import Guests
from ..standing.ledger import Ledger
from ..standing.ranges import RangeOf, Ranges
from ..standing.score import Standing
from ..swarm import open_swarm
from .hearsay import Hearsay
from .place import dialable, read_seed

log = logging.getLogger(__name__)

SEEDS = ("/dnsaddr/bootstrap.libp2p.io",)


@dataclass(slots=True)
class Walk:
    """What came of a walk to a key."""

    nearest: list[ID] = field(default_factory=list)  # the public network's peers nearest to the key
    providers: dict[str, tuple[str, ...]] = field(default_factory=dict)  # as strangers said; the first are to be tried
    answered: int = 0


@asynccontextmanager
async def open_amino(key: NodeKey, ranges: Ranges) -> AsyncIterator[Amino]:
    """A client for the length of the block; its connections end with it."""
    guests = Guests(ranges)
    host = SafeHost(
        open_swarm(key, Doorkeeper(Standing(guests.where), guests), Ledger()), lambda _: True, lambda _: None
    )
    async with host.run(listen_addrs=[]):
        try:
            yield Amino(host, ranges.wide)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
                await host.close()


class Amino:
    """Walks to a key, and leaves word there. Every call is bounded in time and raises nothing for peers' sake."""

    def __init__(self, host: SafeHost, wide: RangeOf) -> None:
        self._host, self._places, self._wide = host, Places(wide), wide
        self._seeds: dict[ID, list[Multiaddr]] = {}
        self._known = Hearsay()  # where the public network's peers are
        self._reached: dict[ID, str] = {}  # the address under which a peer answered

    async def walk(self, key: bytes, seeds: Sequence[str]) -> Walk:
        """Ask the peers ever nearer to `key` who provides it. `seeds`: addresses with `/p2p/…`, of peers of any key."""
        for known, address in filter(None, map(read_seed, seeds)):
            self._seeds.setdefault(known, []).append(address)
        walk, said, changed = Walk(), Hearsay(), trio.Event()
        lookup = Lookup(key, list(self._seeds), self._host.get_id(), self._range)

        async def ask(peer: ID) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lag, peer)
                answer = await self._exchange(peer, Message(type=Message.GET_PROVIDERS, key=key))
                nursery.cancel_scope.cancel()
            if answer is None:
                lookup.failed(peer)
            elif lookup.answered(peer, self._named(peer, answer)):
                walk.answered += 1
                self._note_providers(peer, answer, said)
            changed.set()

        async def lag(peer: ID) -> None:
            await trio.sleep(bounds.RENDEZVOUS_SLOW)
            lookup.lags(peer)
            changed.set()

        with trio.move_on_after(bounds.RENDEZVOUS_WALK):
            async with trio.open_nursery() as nursery:
                while not lookup.done:
                    while (peer := lookup.next()) is not None:
                        nursery.start_soon(ask, peer)
                    await changed.wait()
                    changed = trio.Event()
        walk.nearest = lookup.closest()
        for provider in said.picked(bounds.RENDEZVOUS_FOUND, Random(), self._wide):
            walk.providers[str(provider)] = tuple(said.addresses(provider, bounds.ADDRESSES))
        return walk

    async def provide(self, key: bytes, peers: Sequence[ID], addresses: Sequence[str]) -> int:
        """Tell `peers`, whom a walk found, that this peer provides `key` at `addresses`; how many say so too then."""
        taken, turns = 0, trio.Semaphore(bounds.LOOKUP_AT_ONCE)
        me = self._host.get_id().to_bytes()

        async def tell(peer: ID) -> None:
            nonlocal taken
            if not (told := tellable(addresses, self._places, self._scope(peer))):
                return
            raws = [Multiaddr(each.rpartition("/p2p/")[0]).to_bytes() for each in told]
            word = Message(type=Message.ADD_PROVIDER, key=key, providerPeers=[Message.Peer(id=me, addrs=raws)])
            async with turns:
                # Most answer nothing, and reset what ends: whether it was heard shows in what they tell others.
                answer = await self._exchange(peer, word, Message(type=Message.GET_PROVIDERS, key=key))
            taken += answer is not None and any(each.id == me for each in answer.providerPeers)

        with trio.move_on_after(bounds.RENDEZVOUS_WALK):
            async with trio.open_nursery() as nursery:
                for peer in peers:
                    nursery.start_soon(tell, peer)
        return taken

    async def _exchange(self, peer: ID, *messages: Message) -> Message | None:
        """Say all this, and wait for an answer of the last one's type."""
        stream: INetStream | None = None
        try:
            with trio.move_on_after(bounds.RENDEZVOUS_PATIENCE):
                stream = await self._open(peer)
                await stream.write(b"".join(encode_varint_prefixed(each.SerializeToString()) for each in messages))
                for _ in messages:  # py-libp2p answers where others have nothing to say
                    said = await read_varint_prefixed_bytes_limited(stream, bounds.DHT_MESSAGE)
                    answer = Message.FromString(said)
                    if answer.type == messages[-1].type:
                        return answer
        except Exception as error:  # dialling, streams and protobuf fail in kinds of their own: it has not answered
            log.debug("%s did not answer: %r", peer, error)
        finally:
            if stream is not None:
                await reset(stream)
        return None

    async def _open(self, peer: ID) -> INetStream:
        if not self._host.swarm.get_connections(peer):
            await self._dial(peer)
        return await self._host.new_stream(peer, [PROTOCOL_ID])

    async def _dial(self, peer: ID) -> None:
        failure: Exception = OSError("no address of it is known")
        said = map(Multiaddr, self._known.addresses(peer, bounds.RENDEZVOUS_ADDRESSES))
        for address in [*self._seeds.get(peer, ()), *said]:
            try:
                with trio.fail_after(bounds.RENDEZVOUS_DIAL):
                    await self._host.swarm.dial_addr(address, peer)
                self._reached[peer] = str(address)
                return
            except Exception as error:  # TCP, noise and yamux fail in kinds of their own; another address may do
                failure = error
        raise failure

    def _named(self, by: ID, answer: Message) -> list[ID]:
        found = []
        for named in answer.closerPeers[: bounds.CLOSEST]:
            addresses = dialable(named.addrs[: bounds.RENDEZVOUS_NAMED], self._places, self._scope(by))
            if addresses and 2 <= len(named.id) <= bounds.PEER_ID:
                found.append(ID(named.id))
                self._known.note(by, found[-1], map(str, addresses))
        return found

    def _note_providers(self, by: ID, answer: Message, said: Hearsay) -> None:
        for named in answer.providerPeers[: bounds.CLOSEST]:
            if not 2 <= len(named.id) <= bounds.PEER_ID:
                continue
            addresses = []
            for raw in [raw for raw in named.addrs[: bounds.ADDRESSES] if len(raw) <= bounds.ADDRESS_TEXT]:
                try:
                    addresses.append(str(Multiaddr(raw)))
                except Exception:  # multiaddr raises many kinds for bad bytes
                    continue
            said.note(by, ID(named.id), tellable(addresses, self._places, self._scope(by)))

    def _scope(self, peer: ID) -> Scope:
        """How far off the peer was reached."""
        return scope_of(self._reached[peer], self._places)

    def _range(self, peer: ID) -> str | None:
        """The wide range in which the peer was reached, or else is said to be."""
        said = self._seeds.get(peer) or self._known.addresses(peer, 1) or [""]
        return self._wide(self._reached.get(peer) or str(said[0]))
