"""An iterative Kademlia lookup without I/O: whom to ask next for a key, until the nearest peers have answered.

Peers that this one knows by itself are asked before those that others name, so that invented ids near the key keep
nobody from the answer. Source: Maymounkov and Mazières, Kademlia, IPTPS 2002, section 2.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from libp2p.peer.id import ID

from . import bounds


def position(data: bytes) -> int:
    """Where a key, or a peer by its id's bytes, is among all: what distances are measured between."""
    return int.from_bytes(sha256(data).digest(), "big")


class Lookup:
    """One lookup. `known`: peers to begin with; `itself` is never asked."""

    def __init__(self, key: bytes, known: Iterable[ID], itself: ID) -> None:
        self._target = position(key)
        self._waiting: dict[ID, tuple[bool, int]] = {}  # what they are sorted by: named by others, distance
        self._asking: set[ID] = set()
        self._slow: set[ID] = set()  # of these, those that others are asked beside
        self._seen = {itself}
        self._asked = 0
        self._answered: list[tuple[int, ID]] = []
        self._add(known, named=False)

    def next(self) -> ID | None:
        """The peer to ask now; None when all that is left is to wait, or the lookup is done."""
        if len(self._asking) - len(self._slow) >= bounds.LOOKUP_AT_ONCE or (peer := self._choice()) is None:
            return None
        del self._waiting[peer]
        self._asking.add(peer)
        self._asked += 1
        return peer

    def answered(self, peer: ID, closer: Iterable[ID]) -> None:
        """The peer answered, and named others."""
        self.failed(peer)
        self._answered.append((self._distance(peer), peer))
        self._answered.sort(key=lambda entry: entry[0])
        self._add(closer, named=True)

    def failed(self, peer: ID) -> None:
        """The peer did not answer, or nothing that makes sense."""
        self._asking.discard(peer)
        self._slow.discard(peer)

    def lags(self, peer: ID) -> None:
        """The peer has not answered yet: another is asked beside it, and it may still answer."""
        if peer in self._asking:
            self._slow.add(peer)

    @property
    def done(self) -> bool:
        """Whether nobody is being asked and nobody is left to ask."""
        return not self._asking and self._choice() is None

    @property
    def lagging(self) -> bool:
        """Whether none but slow peers are waited for, and nobody is left to ask."""
        return len(self._asking) == len(self._slow) and self._choice() is None

    def closest(self) -> list[ID]:
        """The peers nearest to the key of those that answered, nearest first."""
        return [peer for _, peer in self._answered[: bounds.CLOSEST]]

    def _choice(self) -> ID | None:
        if not self._waiting or self._asked >= bounds.LOOKUP_PEERS:
            return None
        peer = min(self._waiting, key=self._waiting.__getitem__)
        named, distance = self._waiting[peer]
        nearest = self._answered[: bounds.CLOSEST]
        if named and len(nearest) == bounds.CLOSEST and distance > nearest[-1][0]:
            return None  # enough peers answered that are nearer than all that are left
        return peer

    def _add(self, peers: Iterable[ID], named: bool) -> None:
        for peer in peers:
            if peer not in self._seen and len(self._seen) <= bounds.LOOKUP_SEEN:
                self._seen.add(peer)
                self._waiting[peer] = (named, self._distance(peer))

    def _distance(self, peer: ID) -> int:
        return position(peer.to_bytes()) ^ self._target
