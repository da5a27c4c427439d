"""Who provides what, as this peer remembers it for others: bounded by key, by peer, by range of addresses, in time.

Ids cost nothing and ranges of addresses do, so that whoever comes with many ids from few ranges takes room from itself:
where there is none left, the range with most gives up first. A machine without I/O.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from .. import bounds
from ..reach.places import Scope

Addresses = Sequence[tuple[Scope, bytes]]
"""As they travel, with how far each reaches."""


@dataclass(slots=True)
class _Provider:
    range: str
    addresses: Addresses = ()
    keys: OrderedDict[bytes, None] = field(default_factory=OrderedDict)  # the latest last


class Providers:
    """Records of who provides which key, one a pair; none is older than `bounds.PROVIDER_LIFE`."""

    def __init__(self) -> None:
        self._keys: dict[bytes, OrderedDict[bytes, float]] = {}  # by key and peer: when it was said last, that last
        self._peers: dict[bytes, _Provider] = {}
        self._ranges: dict[str, OrderedDict[tuple[bytes, bytes], None]] = {}  # key and peer, the longest unheard first
        self._order: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()  # as above, of all

    def __len__(self) -> int:
        return len(self._order)

    def add(self, key: bytes, peer: bytes, addresses: Addresses, range_: str | None, now: float) -> bool:
        """`peer` says that it provides `key`, and where it is; whether that is remembered now."""
        self._expire(now)
        self._remove(key, peer)
        place = range_ or ""  # local and relayed peers share one
        known = self._peers.get(peer)
        if known is not None and len(known.keys) >= bounds.PROVIDED:
            self._remove(next(iter(known.keys)), peer)
        here = self._keys.get(key)
        if here is not None and len(here) >= bounds.PROVIDERS_PER_KEY and not self._make_room(key, place):
            return False
        if len(self._order) >= bounds.PROVIDER_RECORDS:
            self._shed()
        provider = self._peers.setdefault(peer, _Provider(place))
        if provider.range != place:  # it has moved
            for other in provider.keys:
                self._forget(provider.range, other, peer)
                self._ranges.setdefault(place, OrderedDict())[other, peer] = None
            provider.range = place
        provider.addresses = tuple(addresses)
        provider.keys[key] = None
        self._ranges.setdefault(place, OrderedDict())[key, peer] = None
        self._keys.setdefault(key, OrderedDict())[peer] = now
        self._order[key, peer] = None
        return True

    def of(self, key: bytes, asker: bytes, now: float) -> list[tuple[bytes, Addresses]]:
        """Providers of `key` and their addresses: of each range one in turn, the latest of it first.

        Before all others `asker`, if it is one: so it sees that it was heard.
        """
        self._expire(now)
        by_range: dict[str, list[bytes]] = {}
        for peer in reversed(self._keys.get(key, OrderedDict())):
            by_range.setdefault(self._peers[peer].range, []).append(peer)
        turns = [peer for turn in zip_longest(*by_range.values()) for peer in turn if peer is not None]
        turns.sort(key=lambda peer: peer != asker)
        return [(peer, self._peers[peer].addresses) for peer in turns[: bounds.PROVIDERS_TOLD]]

    def _make_room(self, key: bytes, newcomer: str) -> bool:
        crowds = Counter(self._peers[peer].range for peer in self._keys[key])
        largest, count = crowds.most_common(1)[0]
        if count < crowds[newcomer] + 1 or count == 1:
            return False
        self._remove(key, next(peer for peer in self._keys[key] if self._peers[peer].range == largest))
        return True

    def _shed(self) -> None:
        """Give up the oldest record of the range with most."""
        largest = max(self._ranges, key=lambda place: len(self._ranges[place]))
        self._remove(*next(iter(self._ranges[largest])))

    def _forget(self, place: str, key: bytes, peer: bytes) -> None:
        del self._ranges[place][key, peer]
        if not self._ranges[place]:
            del self._ranges[place]

    def _expire(self, now: float) -> None:
        while self._order:
            key, peer = next(iter(self._order))
            if now - self._keys[key][peer] < bounds.PROVIDER_LIFE:
                return
            self._remove(key, peer)

    def _remove(self, key: bytes, peer: bytes) -> None:
        if peer not in self._keys.get(key, ()):
            return
        del self._keys[key][peer]
        if not self._keys[key]:
            del self._keys[key]
        del self._order[key, peer]
        provider = self._peers[peer]
        del provider.keys[key]
        self._forget(provider.range, key, peer)
        if not provider.keys:
            del self._peers[peer]
