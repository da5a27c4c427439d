"""What strangers said of other peers: each of them has one voice, however much it says. A machine without I/O.

Whoever answers first must not fill the room that there is: of many peers that were named, one answerer's next is taken
in turn with those of all others, and of a peer's addresses those that most answerers said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import zip_longest
from random import Random

from libp2p.peer.id import ID

from .. import bounds


class Hearsay:
    """Peers that others named, by who named them. What one answer says is to be bounded before."""

    def __init__(self) -> None:
        self._addresses: dict[ID, Counter[str]] = {}  # by peer: who many said each
        self._named: dict[ID, dict[ID, None]] = {}  # by answerer: whom it named

    def note(self, by: ID, peer: ID, addresses: Iterable[str]) -> None:
        """`by` said that `peer` has these addresses."""
        if peer not in self._named.setdefault(by, {}):
            self._named[by][peer] = None
            self._addresses.setdefault(peer, Counter()).update(set(addresses))

    def addresses(self, peer: ID, most: int) -> list[str]:
        """Those that most said first."""
        return [address for address, _ in self._addresses.get(peer, Counter()).most_common(most)]

    def picked(self, most: int, random: Random, range_of: Callable[[str], str | None]) -> list[ID]:
        """So many of those who were named: in turn what each answerer said, and what is in a wide range that has its
        share already after all others."""
        lists = [random.sample(list(peers), len(peers)) for peers in self._named.values()]
        random.shuffle(lists)
        turns = dict.fromkeys(peer for turn in zip_longest(*lists) for peer in turn if peer is not None)
        taken, found, crowd = Counter[str](), list[ID](), list[ID]()
        for peer in turns:
            within = {one for address in self._addresses[peer] if (one := range_of(address)) is not None}
            full = any(taken[one] >= bounds.LOOKUP_PER_WIDE for one in within)
            taken.update(() if full else within)
            (crowd if full else found).append(peer)
        return [*found, *crowd][:most]
