"""Finding who has a model, and what was said under a name: a Kademlia DHT, kept fresh as peers come and go.

Provider records of peers that are gone stay for a day, so what they say is a hint: whom to ask, never who is there.
Value records speak for themselves: a judge knows which are good and which of two is newer (`p2p/records.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable

import trio
from libp2p.kad_dht.kad_dht import DHTMode, _encode_key
from libp2p.tools.anyio_service import background_trio_service

from wire.cid import to_cid
from wire.network import Network

from . import bounds
from .addresses import parse_peer
from .guard import SafeHost
from .kademlia import SafeKadDHT
from .records import Judge, Records, name_of
from .values import Values

log = logging.getLogger(__name__)

_RECORDS = 16384  # content keys whose providers this peer remembers for others
_PROVIDED = 4096  # keys of our own
_PACE = 1.1  # seconds between two announcements: receivers take ten in ten seconds from one peer
_ROUND = 60.0


class Discovery:
    """The DHT as the rest of the program sees it. Every call is bounded in time and raises nothing for peers' sake."""

    def __init__(
        self,
        host: SafeHost,
        network: Network,
        serves: bool,
        learn: Callable[[str, Iterable[str]], None],
        reach: Callable[[str], Awaitable[None]],
        judge: Judge | None,
        legacy: bool = True,
    ) -> None:
        self._host, self._network, self._learn, self._legacy = host, network, learn, legacy
        self._records = Records(host, judge)
        self._values = Values(host, self._records, learn, reach)
        self._mode = DHTMode.SERVER if serves else DHTMode.CLIENT
        self._dht: SafeKadDHT | None = None
        self._stale = trio.Event()
        self._provided: dict[bytes, bool] = {}  # whether any peer took the announcement
        self._owned: dict[bytes, tuple[bytes, float]] = {}  # by name: a record of ours, and when to put it again

    async def run(self) -> None:
        """Serve until cancelled or until the library's service fails; may be run again."""
        dht = SafeKadDHT(self._host, self._network, self._mode, self._records, self._legacy)
        async with background_trio_service(dht):
            self._dht = dht
            try:
                await self._refresh(dht)
            finally:
                self._dht = None

    def heard_of(self, peer_id: str) -> None:
        """A peer has connected and was identified: the routing table is behind."""
        log.debug("routing table: %s is new", peer_id)
        self._stale.set()

    async def provide(self, digest: bytes) -> bool:
        """Announce that this peer has the content; whether any other took note. Said again when that changes."""
        self._provided.pop(digest, None)
        self._provided[digest] = False
        if len(self._provided) > _PROVIDED:
            del self._provided[next(iter(self._provided))]
        return await self._announce(digest)

    def withdraw(self, digest: bytes) -> None:
        """Stop announcing; what others noted lapses by itself within a day."""
        self._provided.pop(digest, None)
        if self._dht is not None:
            store, key = self._dht.provider_store, _encode_key(to_cid(digest))
            store.providing_keys.discard(key)
            store.providers.get(key, {}).pop(str(self._host.get_id()), None)

    async def find_providers(self, digest: bytes) -> list[str]:
        """The ids of peers said to have the content, this one left out; their addresses are learnt on the way."""
        dht = self._dht
        if dht is None:
            return []
        # The library answers from its own records when it has any, and they are never renewed: hide them meanwhile.
        store, key = dht.provider_store, _encode_key(to_cid(digest))
        held = store.providers.pop(key, {})
        found = []
        try:
            with trio.move_on_after(bounds.LOOKUP_TIMEOUT):
                found = await dht.find_providers(to_cid(digest), bounds.PROVIDERS)
        except Exception:  # a lookup passes through many peers' bytes; one that fails has found nothing
            log.debug("a lookup failed", exc_info=True)
        finally:
            store.providers.setdefault(key, {}).update({p: r for p, r in held.items() if p not in store.providers[key]})
            if not store.providers[key]:
                del store.providers[key]
        providers: dict[str, None] = {}
        for info in [*found, *store.get_providers(key)]:
            if info.peer_id != self._host.get_id():
                self._learn(str(info.peer_id), map(str, info.addrs))
                providers[str(info.peer_id)] = None
        return list(providers)[: bounds.PROVIDERS]

    async def put_record(self, key: bytes, value: bytes) -> bool:
        """Give a record to the peers nearest to its key; whether any other took it.

        It is given again when nobody took it, and every hour, until a newer one is met. False for one that is older
        than what is known. ValueError when it is over a bound or the judge refuses it.
        """
        name = name_of(key)
        if self._records.order(name, value) is None:
            raise ValueError(f"the record ({len(value)} bytes) is over a bound, or not one that peers would take")
        if not self._records.offer(name, value):
            return False
        self._owned.pop(name, None)
        self._owned[name] = (value, trio.current_time())
        if len(self._owned) > bounds.RECORDS_OWNED:
            del self._owned[next(iter(self._owned))]
        return await self._put(name)

    async def get_record(self, key: bytes) -> bytes | None:
        """The newest good record that the peers nearest to the key, or this one, hold."""
        name = name_of(key)
        if self._dht is not None:
            await self._values.find(self._dht, name)
        return self._records.newest(name)

    async def find_peer(self, peer_id: str) -> None:
        """Ask the DHT where a peer is; what it says is learnt."""
        if self._dht is None:
            return
        try:
            with trio.move_on_after(bounds.LOOKUP_TIMEOUT):
                info = await self._dht.find_peer(parse_peer(peer_id))
                if info is not None:
                    self._learn(peer_id, map(str, info.addrs))
        except Exception:  # as above
            log.debug("a lookup failed", exc_info=True)

    async def _announce(self, digest: bytes) -> bool:
        if self._dht is None:
            return False
        taken = False
        try:
            with trio.move_on_after(bounds.PROVIDE_TIMEOUT):
                taken = await self._dht.provide(to_cid(digest))
        except Exception:  # as above
            log.debug("an announcement failed", exc_info=True)
        if digest in self._provided:
            self._provided[digest] = taken
        return taken

    async def _put(self, name: bytes) -> bool:
        value, _ = self._owned[name]
        if self._dht is None:
            return False
        taken = 0
        with trio.move_on_after(bounds.PROVIDE_TIMEOUT):
            taken = await self._values.put(self._dht, name, value)
        if name in self._owned and self._owned[name][0] == value:  # neither given up nor replaced meanwhile
            if self._records.order(name, value) is None or self._records.newest(name) not in (value, None):
                del self._owned[name]  # no longer good, or no longer the newest
            else:
                self._owned[name] = (value, trio.current_time() + (bounds.RECORD_EVERY if taken else 0))
        return taken > 0

    async def _refresh(self, dht: SafeKadDHT) -> None:
        """Keep the routing table near the truth, announce what nobody took yet, bound what strangers announce."""
        while True:
            with trio.move_on_after(_ROUND):
                await self._stale.wait()
            self._stale = trio.Event()
            with trio.move_on_after(bounds.LOOKUP_TIMEOUT):
                for peer in self._host.get_live_peers():
                    await dht.add_peer(peer)
                if dht.get_routing_table_size():
                    await dht.refresh_routing_table()
            for digest in [d for d, taken in self._provided.items() if not taken]:
                if not dht.get_routing_table_size():
                    break
                await self._announce(digest)
                await trio.sleep(_PACE)
            for name in [n for n, (_, due) in self._owned.items() if due <= trio.current_time()]:
                if not dht.get_routing_table_size():
                    break
                if name in self._owned:
                    await self._put(name)
            records = dht.provider_store.providers
            for key in list(records)[: max(0, len(records) - _RECORDS)]:
                del records[key]
            await trio.sleep(bounds.REFRESH_PAUSE)
