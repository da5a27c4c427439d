"""The routing table: the DHT's servers that this peer knows, more of them the nearer they are. A machine without I/O.

Who asks or is named by others is not in it: only who said itself that it serves, and answers. One that fails to answer
leaves at once, and comes back when it connects again. In a full bucket none gives way but one of a crowded range of
addresses to one of a less crowded range. Source: Maymounkov and Mazières, Kademlia, IPTPS 2002, section 2.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from libp2p.peer.id import ID

from .. import bounds
from ..lookup import position


@dataclass(slots=True)
class _Entry:
    peer: ID
    position: int
    range: str | None  # of addresses, where it was when it came
    heard: float  # when it answered last


class Table:
    """Peers by their distance to this one."""

    def __init__(self, me: ID) -> None:
        self._me = position(me.to_bytes())
        self._entries: dict[ID, _Entry] = {}
        self._buckets: dict[int, list[_Entry]] = {}  # by the length of the distance, in bits

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, peer: ID) -> bool:
        return peer in self._entries

    def __iter__(self) -> Iterator[ID]:
        return iter(list(self._entries))

    def add(self, peer: ID, range_: str | None, now: float) -> bool:
        """The peer serves the DHT and is there; whether it is new here."""
        if peer in self._entries:
            self._entries[peer].heard = now
            return False
        entry = _Entry(peer, position(peer.to_bytes()), range_, now)
        if entry.position == self._me:
            return False
        bucket = self._buckets.setdefault((entry.position ^ self._me).bit_length(), [])
        if len(bucket) >= bounds.CLOSEST:
            if (crowded := _crowded(bucket, range_)) is None:
                return False
            self.remove(crowded.peer)
            bucket = self._buckets.setdefault((entry.position ^ self._me).bit_length(), [])
        bucket.append(entry)
        self._entries[peer] = entry
        return True

    def heard(self, peer: ID, now: float) -> None:
        """The peer answered; nothing happens for one that is not here."""
        if peer in self._entries:
            self._entries[peer].heard = now

    def remove(self, peer: ID) -> None:
        """The peer does not answer, or serves no more."""
        entry = self._entries.pop(peer, None)
        if entry is not None:
            bits = (entry.position ^ self._me).bit_length()
            self._buckets[bits].remove(entry)
            if not self._buckets[bits]:
                del self._buckets[bits]

    def nearest(self, key: bytes, count: int = bounds.CLOSEST) -> list[ID]:
        """So many peers, the nearest to the key's hash first."""
        target = position(key)
        return [e.peer for e in sorted(self._entries.values(), key=lambda entry: entry.position ^ target)[:count]]

    def quiet(self, now: float) -> list[ID]:
        """Peers that have said nothing for so long that they may be gone, the longest silent first."""
        found = [entry for entry in self._entries.values() if now - entry.heard >= bounds.DHT_QUIET]
        return [entry.peer for entry in sorted(found, key=lambda entry: entry.heard)]


def _crowded(bucket: list[_Entry], range_: str | None) -> _Entry | None:
    """Who gives way to a newcomer of `range_`: the latest of the range with most, if that has two more at least."""
    crowds = Counter(entry.range for entry in bucket if entry.range is not None)
    if not crowds or range_ is None:
        return None
    largest, count = crowds.most_common(1)[0]
    if count < crowds[range_] + 2:
        return None
    return next(entry for entry in reversed(bucket) if entry.range == largest)
