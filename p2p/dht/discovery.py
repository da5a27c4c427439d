"""Finding who has a model, and what was said under a name: a Kademlia DHT, kept fresh as peers come and go.

Provider records outlive their providers by hours, so what they say is a hint: whom to ask, never who is there.
Value records speak for themselves: a judge knows which are good and which of two is newer (`records.py`).
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random

import trio
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.pb.kademlia_pb2 import Message, Record
from libp2p.peer.id import ID

from wire.network import Network

from .. import bounds
from ..addresses import Multiaddr, parse_peer
from ..guard import SafeHost
from ..reach.dialback import direct_ip
from ..reach.places import Places
from ..standing.ranges import Ranges
from ..whereabouts import Whereabouts
from .asking import Asker
from .providers import Providers
from .records import Judge, Records, name_of
from .serving import Server
from .table import Table

log = logging.getLogger(__name__)

LEGACY = TProtocol("/ipfs/kad/1.0.0")  # the public DHT's id, which release 0.1.0 had too
_BLAKE3 = b"\x1e\x20"  # multihash: BLAKE3, 32 bytes


def id_of(network: Network) -> TProtocol:
    """The id of the network's own DHT."""
    return TProtocol(network.protocol("kad"))


def is_server(protocols: frozenset[str], network: Network) -> bool:
    """Whether a peer that serves these protocols serves the network's DHT, by its own id or as release 0.1.0 did."""
    if id_of(network) in protocols:
        return True
    return LEGACY in protocols and any(each.startswith(f"/hallmark/{network.name}/") for each in protocols)


@dataclass(slots=True)
class _Due:
    at: float  # when it is said again
    failures: int = 0  # times in a row that nobody took it


class Discovery:
    """The DHT as the rest of the program sees it. Every call is bounded in time and raises nothing for peers' sake."""

    def __init__(
        self,
        host: SafeHost,
        network: Network,
        is_reachable: Callable[[], bool],
        ranges: Ranges,
        whereabouts: Whereabouts,
        visit: Callable[[str], Awaitable[None]],
        judge: Judge | None,
        legacy: bool = True,
    ) -> None:
        """`is_reachable`: whether others may dial this peer: it serves while they may. `visit` connects to a peer.

        `legacy`: whether peers of release 0.1.0 are served under the id that they, and the public DHT, know.
        """
        self._host, self._network, self._is_reachable = host, network, is_reachable
        self._range_of = ranges.wide
        self._whereabouts = whereabouts
        self._ids = (id_of(network), LEGACY) if legacy else (id_of(network),)
        places, self.table = Places(ranges.wide), Table(host.get_id())
        self.records = Records(host.get_id(), judge)
        asked = (id_of(network), LEGACY)
        self._asker = Asker(host, asked, self.table, places, visit, whereabouts.hint)
        self._providers = Providers()
        self._server = Server(
            host, self.table, self._providers, self.records, places, ranges.wide, self._provides, whereabouts.vouched
        )
        self._serves = False
        host.changed = self.heard_of
        self._stale, self._news, self._met, self._random = trio.Event(), trio.Event(), trio.Event(), Random()
        self._grown = False  # since the last walk to our own place
        self._told: list[Multiaddr] = []  # our addresses, as the last announcements had them
        self._provided: dict[bytes, _Due] = {}  # by key
        self._pace = -math.inf  # until when the announcements made so far fill what receivers take
        self._owned: dict[bytes, tuple[bytes, float]] = {}  # by name: a record of ours, and when to put it again

    async def run(self) -> None:
        """Serve, keep the table near the truth and say again what lapses, until cancelled; may be run again."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_saying)
            try:
                await self._keep_table(nursery)
            finally:
                self._stop_serving()

    def heard_of(self, peer_id: str) -> None:
        """A peer has said what it serves: the routing table is behind."""
        if self._take(ID.from_string(peer_id)):
            log.debug("routing table: %s is new", peer_id)
        self._stale.set()

    def moved(self) -> None:
        """Our addresses changed, or whether we are reached."""
        self._stale.set()

    async def provide(self, digest: bytes) -> bool:
        """Announce that this peer has the content; whether any other took note. Said again for as long as we run."""
        return await self.provide_key(_BLAKE3 + digest)

    async def provide_key(self, key: bytes) -> bool:
        """As `provide`, of content by its multihash of any kind."""
        return await self._announce(key, self._intend(key))

    def provide_soon(self, digest: bytes) -> None:
        """As `provide`, without waiting for it. What is announced already stays so."""
        if _BLAKE3 + digest not in self._provided:
            self._intend(_BLAKE3 + digest)
            self._news.set()

    def withdraw(self, digest: bytes) -> None:
        """Stop announcing; what others noted lapses by itself within hours."""
        self._provided.pop(_BLAKE3 + digest, None)

    async def find_providers(self, digest: bytes) -> list[str]:
        """The ids of peers said to have the content, this one left out; their addresses are learnt on the way."""
        return await self.find_providers_of_key(_BLAKE3 + digest)

    async def find_providers_of_key(self, key: bytes) -> list[str]:
        """As `find_providers`, of content by its multihash of any kind."""
        named: Counter[str] = Counter()  # by how many peers: one liar names each but once
        me = str(self._host.get_id())

        def note(by: ID, answer: Message) -> None:
            named.update({str(peer) for peer in self._asker.providers(by, answer)} - {me})

        named.update({str(ID(peer)) for peer, _ in self._providers.of(key, b"", trio.current_time())} - {me})
        await self._ready()
        await self._asker.walk(Message(type=Message.GET_PROVIDERS, key=key), note, lambda: bool(named))
        there = set(map(str, self._host.get_live_peers()))  # and so not gone, as others may be
        ranked = sorted(named, key=lambda peer: (peer not in there, -named[peer]))
        return ranked[: bounds.PROVIDERS]

    async def put_record(self, key: bytes, value: bytes) -> bool:
        """Give a record to the peers nearest to its key; whether any other took it.

        It is given again when nobody took it, and every hour, until a newer one is met. False for one that is older
        than what is known. ValueError when it is over a bound or the judge refuses it.
        """
        name, now = name_of(key), trio.current_time()
        if self.records.order(name, value) is None:
            raise ValueError(f"the record ({len(value)} bytes) is over a bound, or not one that peers would take")
        if not self._offer(name, value):
            return False
        self._owned.pop(name, None)
        self._owned[name] = (value, now)
        if len(self._owned) > bounds.RECORDS_OWNED:
            del self._owned[next(iter(self._owned))]
        return await self._put(name)

    async def get_record(self, key: bytes) -> bytes | None:
        """The newest good record that the peers nearest to the key, or this one, hold."""
        name = name_of(key)
        await self._look_up(name)
        return self.records.newest(name, trio.current_time())

    async def find_peer(self, peer_id: str) -> None:
        """Ask the DHT where a peer is; what it says is learnt."""
        await self._asker.walk(Message(type=Message.FIND_NODE, key=parse_peer(peer_id).to_bytes()))

    def _provides(self, key: bytes) -> bool:
        return key in self._provided

    # What we say.

    def _intend(self, key: bytes) -> _Due:
        self._provided.pop(key, None)
        due = self._provided[key] = _Due(0.0)
        if len(self._provided) > bounds.PROVIDED:
            del self._provided[next(iter(self._provided))]
        return due

    async def _announce(self, key: bytes, due: _Due) -> bool:
        due.at, taken = math.inf, 0  # until this try is over
        try:
            await self._ready()
            addresses = self._host.get_addrs()
            if addresses and len(self.table):  # others believe only who says where it is
                taken = await self._tell_of(key, addresses)
        finally:
            due.failures = 0 if taken else due.failures + 1
            rest = min(bounds.PROVIDE_RETRY * 2 ** min(due.failures - 1, 16), bounds.PROVIDE_RETRY_MOST)
            every = bounds.PROVIDE_EVERY if taken else rest
            due.at = trio.current_time() + every * self._random.uniform(0.75, 1.0)
            self._news.set()
        return taken > 0

    async def _tell_of(self, key: bytes, addresses: Sequence[Multiaddr]) -> int:
        me = Message.Peer(id=self._host.get_id().to_bytes(), addrs=[address.to_bytes() for address in addresses])
        word = Message(type=Message.ADD_PROVIDER, key=key, providerPeers=[me])
        # Most answer nothing to that: whether it was heard shows in what they tell others.
        check = Message(type=Message.GET_PROVIDERS, key=key)
        nearest, now = await self._asker.walk(check), trio.current_time()
        wait = max(0.0, self._pace - now)
        self._pace = max(self._pace, now - bounds.PROVIDE_BURST * bounds.PROVIDE_PACE) + bounds.PROVIDE_PACE
        await trio.sleep(wait)
        return await self._asker.tell(
            nearest,
            (word, check),
            lambda said: said.type == check.type and any(peer.id == me.id for peer in said.providerPeers),
        )

    async def _put(self, name: bytes) -> bool:
        value, _ = self._owned[name]
        self._owned[name] = value, math.inf
        taken = 0
        try:
            nearest = await self._look_up(name)
            if self._offer(name, value):
                word = Message(type=Message.PUT_VALUE, key=name, record=Record(key=name, value=value))
                # A peer that refuses resets the stream; who takes the record sends it back.
                taken = await self._asker.tell(
                    nearest, (word,), lambda said: said.type == word.type and said.record.value == value
                )
        finally:
            if name in self._owned and self._owned[name][0] == value:  # neither given up nor replaced meanwhile
                if self.records.newest(name, trio.current_time()) not in (value, None):
                    del self._owned[name]  # no longer the newest
                elif self.records.order(name, value) is None:
                    del self._owned[name]  # no longer good
                else:
                    every = bounds.RECORD_EVERY if taken else bounds.PROVIDE_RETRY
                    self._owned[name] = value, trio.current_time() + every
            self._news.set()
        return taken > 0

    async def _keep_saying(self) -> None:
        while True:
            self._news = trio.Event()
            now = trio.current_time()
            keys = [key for key, due in self._provided.items() if due.at <= now]
            names = [name for name, (_, at) in self._owned.items() if at <= now]
            for key in keys:
                if key in self._provided:
                    await self._announce(key, self._provided[key])
            for name in names:
                if name in self._owned:
                    await self._put(name)
            if not keys and not names:
                dues = [*(due.at for due in self._provided.values()), *(at for _, at in self._owned.values())]
                with trio.move_on_at(min(dues, default=math.inf)):
                    await self._news.wait()

    def _say_again(self, all_: bool) -> None:
        """Announce soon what nobody took yet, or all."""
        now = trio.current_time()
        for due in self._provided.values():
            if due.at < math.inf and (all_ or due.failures):
                due.at, due.failures = now, 0
        for name, (value, at) in self._owned.items():
            if at < math.inf and at - now <= bounds.PROVIDE_RETRY:
                self._owned[name] = value, now
        self._news.set()

    # What we ask.

    async def _look_up(self, name: bytes) -> list[ID]:
        """Ask those nearest to `name`; what is good of what they hold is kept. Who answered."""

        def note(_: ID, answer: Message) -> None:
            if answer.HasField("record") and answer.record.key == name:
                self._offer(name, answer.record.value)

        await self._ready()
        return await self._asker.walk(Message(type=Message.GET_VALUE, key=name), note)

    def _offer(self, name: bytes, value: bytes) -> bool:
        return self.records.offer(name, value, "", trio.current_time())

    async def _ready(self) -> None:
        """Return once somebody can be asked, if those who are connected are about to say that they may be."""
        self._take_in()
        unknown = [peer for peer in self._host.get_live_peers() if not self._host.speaks(peer)]
        if not len(self.table) and unknown:
            with trio.move_on_after(bounds.RECORD_PATIENCE):
                await self._met.wait()

    # Whom we know.

    async def _keep_table(self, nursery: trio.Nursery) -> None:
        walked = -math.inf
        while True:
            self._stale = trio.Event()
            self._follow(nursery)
            self._take_in()
            now = trio.current_time()
            due = now - walked >= bounds.REFRESH_WALK or (self._grown and now - walked >= self._rest())
            if due and len(self.table):
                walked, self._grown = now, False
                await self._asker.walk(Message(type=Message.FIND_NODE, key=self._host.get_id().to_bytes()))
                self._say_again(all_=False)
            for peer in self.table.quiet(now)[: bounds.DHT_PROBES]:
                await self._asker.ask(peer, Message(type=Message.PING), accepts=lambda said: said.type == Message.PING)
            await trio.sleep(bounds.REFRESH_PAUSE)
            with trio.move_on_after(self._rest() if self._grown else bounds.REFRESH_EVERY):
                await self._stale.wait()

    def _rest(self) -> float:
        """Seconds between two walks to our own place: newcomers look around more often."""
        return 0.0 if len(self.table) < bounds.CLOSEST else bounds.REFRESH_REST

    def _follow(self, nursery: trio.Nursery) -> None:
        """Serve while others can dial us, and no longer; tell them, and where we are."""
        serves = self._is_reachable()
        if serves != self._serves:
            if serves:
                for each in self._ids:
                    self._host.set_stream_handler(each, self._server.serve)
                self._serves = True
            else:
                self._stop_serving()
            for connections in list(self._host.swarm.get_connections_map().values()):
                for connection in connections[:1]:
                    nursery.start_soon(self._host.tell, connection)
        addresses = self._host.get_addrs()
        if addresses != self._told:
            self._told = addresses
            self._say_again(all_=True)

    def _stop_serving(self) -> None:
        if self._serves:
            self._serves = False
            for each in self._ids:
                self._host.remove_stream_handler(each)

    def _take_in(self) -> None:
        """Know who is connected and serves, and no more who does not."""
        for peer in self.table:
            said = self._host.speaks(peer)
            if said and not is_server(said, self._network):
                self.table.remove(peer)
        for peer in self._host.get_live_peers():
            self._take(peer)

    def _take(self, peer: ID) -> bool:
        if not is_server(self._host.speaks(peer), self._network):
            return False
        ips = [direct_ip(connection) for connection in self._host.swarm.get_connections(peer)]
        range_ = next((self._range_of(str(ip)) for ip in ips if ip is not None), None)
        new = self.table.add(peer, range_, trio.current_time())
        self._grown |= new
        self._met.set()
        return new
