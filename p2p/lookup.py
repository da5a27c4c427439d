"""An iterative Kademlia lookup without I/O: whom to ask next for a key, until the nearest peers have answered.

Peers that this one knows by itself are asked before those that others name, so that invented ids near the key keep
nobody from the answer. Of those that others name come first whose namers were right so far: of whom the fewest were
asked on their word and have not answered. So who names many that do not exist is soon the last to be listened to.
Source: Maymounkov and Mazières, Kademlia, IPTPS 2002, section 2.3.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256

from libp2p.peer.id import ID

from . import bounds


def position(data: bytes) -> int:
    """Where a key, or a peer by its id's bytes, is among all: what distances are measured between."""
    return int.from_bytes(sha256(data).digest(), "big")


class Lookup:
    """One lookup. `known`: peers to begin with; `itself` is never asked.

    `range_of` a peer: where it is as far as is known, None for one that is not limited. Of one range no more than
    `bounds.LOOKUP_PER_WIDE` are asked, but for those that did not answer.
    """

    def __init__(
        self, key: bytes, known: Iterable[ID], itself: ID, range_of: Callable[[ID], str | None] = lambda _: None
    ) -> None:
        self._target, self._range_of = position(key), range_of
        self._waiting: dict[ID, int] = {}  # their distance
        self._where: dict[ID, str | None] = {}
        self._namers: dict[ID, list[ID]] = {}  # of each that was not known
        self._unproven: Counter[ID] = Counter()  # by namer: asked on its word, and have not answered
        self._asking: dict[ID, str | None] = {}  # and where they are
        self._within: Counter[str | None] = Counter()  # of those asked who have not failed, by range
        self._slow: set[ID] = set()  # of these, those that others are asked beside
        self._seen = {itself}
        self._asked = 0
        self._answered: list[tuple[int, ID]] = []
        self._add(known, None)

    def next(self) -> ID | None:
        """The peer to ask now; None when all that is left is to wait, or the lookup is done."""
        if len(self._asking) - len(self._slow) >= bounds.LOOKUP_AT_ONCE or (peer := self._choice()) is None:
            return None
        del self._waiting[peer]
        self._asking[peer] = self._where[peer]
        self._within[self._asking[peer]] += 1
        self._unproven.update(self._namers.get(peer, ()))
        self._asked += 1
        return peer

    def answered(self, peer: ID, closer: Iterable[ID]) -> bool:
        """The peer answered, and named others; whether it is listened to: it may be elsewhere than was said."""
        self.failed(peer)
        within = self._range_of(peer)
        if self._is_full(within):
            return False
        self._within[within] += 1
        self._unproven.subtract(self._namers.get(peer, ()))
        self._answered.append((self._distance(peer), peer))
        self._answered.sort(key=lambda entry: entry[0])
        self._add(closer, peer)
        return True

    def failed(self, peer: ID) -> None:
        """The peer did not answer, or nothing that makes sense."""
        self._within[self._asking.pop(peer, None)] -= 1
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
        nearest = self._answered[: bounds.CLOSEST]
        # Once enough have answered, those who are farther are no longer needed.
        farthest = nearest[-1][0] if len(nearest) == bounds.CLOSEST else math.inf
        left = [
            peer
            for peer, distance in self._waiting.items()
            if (distance < farthest or peer not in self._namers) and not self._is_full(self._where[peer])
        ]
        return min(left, key=self._rank, default=None)

    def _rank(self, peer: ID) -> tuple[bool, int, int]:
        namers = self._namers.get(peer, ())
        return bool(namers), min((self._unproven[namer] for namer in namers), default=0), self._waiting[peer]

    def _is_full(self, within: str | None) -> bool:
        return within is not None and self._within[within] >= bounds.LOOKUP_PER_WIDE

    def _add(self, peers: Iterable[ID], namer: ID | None) -> None:
        for peer in peers:
            if peer not in self._seen and len(self._seen) <= bounds.LOOKUP_SEEN:
                self._seen.add(peer)
                self._waiting[peer], self._where[peer] = self._distance(peer), self._range_of(peer)
                if namer is not None:
                    self._namers[peer] = [namer]
            elif namer is not None and peer in self._waiting and peer in self._namers:
                self._namers[peer].append(namer)
                self._where[peer] = self._range_of(peer)  # others may have said otherwise

    def _distance(self, peer: ID) -> int:
        return position(peer.to_bytes()) ^ self._target
