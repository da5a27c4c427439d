"""Which pieces of a blob are still to be asked for, and who said that it lacks which.

What a peer has is not known beforehand: it is asked, and a NOT_FOUND teaches. So the rarest piece is the one that the
most peers were found to lack. One that lacks some may be fetching as well: it likely has what comes after the piece
that it began with. No I/O here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable


class Pieces:
    """The pieces that nobody is asked for at the moment, by how many of the peers lack them."""

    def __init__(self, wanted: Iterable[int], count: int) -> None:
        self._count = count
        self._lacking: dict[str, bytearray | None] = {}  # peer → 1 at each piece it lacks; None while it lacks none
        self._ahead: dict[str, tuple[int, int]] = {}  # peer → with which piece it began; pieces looked at from there on
        self._rarity = bytearray(count)  # by how many peers each piece is lacked; there are at most 64
        # By rarity, in the order to ask; OrderedDict finds its first key at once, however many were before it.
        self._wanted: list[OrderedDict[int, None]] = [OrderedDict.fromkeys(wanted)]
        # A search that found nothing need not be made again before something was put back.
        self._change, self._searched = 0, dict[str, int]()

    def __len__(self) -> int:
        return sum(map(len, self._wanted))

    def join(self, peer: str, start: int | None = None) -> None:
        """A peer that may have any piece; `start`: with which one it begins where it fetches as well."""
        self._lacking[peer] = None
        if start is not None:
            self._ahead[peer] = start, 0

    def leave(self, peer: str) -> None:
        """A peer that is not asked any more, so that what it lacks says nothing about rarity."""
        lacking = self._lacking.pop(peer)
        self._ahead.pop(peer, None)
        if lacking is None:
            return
        wanted = [piece for rank in self._wanted for piece in rank]
        for piece, lacks in enumerate(lacking):
            self._rarity[piece] -= lacks
        self._wanted = [OrderedDict()]
        for piece in wanted:
            self.put_back(piece)

    def lack(self, peer: str, piece: int) -> None:
        """The peer does not have the piece, which it was asked for: to be said before the piece is put back."""
        lacking = self._lacking[peer]
        if lacking is None:
            lacking = self._lacking[peer] = bytearray(self._count)
        if not lacking[piece]:
            lacking[piece] = 1
            self._rarity[piece] += 1

    def forget(self, peer: str) -> None:
        """What the peer lacked it may have by now."""
        lacking, self._lacking[peer] = self._lacking[peer], None
        if peer in self._ahead:
            self._ahead[peer] = self._ahead[peer][0], 0
        piece = -1 if lacking is None else lacking.find(1)
        while lacking is not None and piece >= 0:
            rarity = self._rarity[piece]
            wanted = rarity < len(self._wanted) and piece in self._wanted[rarity]
            if wanted:
                del self._wanted[rarity][piece]
            self._rarity[piece] -= 1
            if wanted:
                self.put_back(piece)
            piece = lacking.find(1, piece + 1)

    def lacks(self, peer: str, piece: int) -> bool:
        """Whether the peer said that it does not have the piece."""
        lacking = self._lacking[peer]
        return lacking is not None and bool(lacking[piece])

    def lacks_some(self, peer: str) -> bool:
        """Whether the peer said so of any piece."""
        return self._lacking[peer] is not None

    def put_back(self, piece: int) -> None:
        """The piece is to be asked for again."""
        while self._rarity[piece] >= len(self._wanted):
            self._wanted.append(OrderedDict())
        self._wanted[self._rarity[piece]][piece] = None
        self._change += 1

    def find(self, peer: str) -> int | None:
        """The rarest piece that the peer may have; of one that lacks some, the first that it likely has; or None."""
        if self._searched.get(peer) == self._change:
            return None
        lacking = self._lacking[peer]
        if lacking is not None and (piece := self._find_ahead(peer, lacking)) is not None:
            return piece
        # What all peers lack, this one lacks too.
        for rank in reversed(self._wanted[: len(self._lacking)]):
            if lacking is None:
                if rank:
                    return next(iter(rank))
                continue
            for piece in rank:
                if not lacking[piece]:
                    return piece
        self._searched[peer] = self._change
        return None

    def _find_ahead(self, peer: str, lacking: bytearray) -> int | None:
        # Once around: what is put back behind is found by its rarity.
        start, looked = self._ahead.get(peer, (0, self._count))
        while looked < self._count:
            piece = (start + looked) % self._count
            rarity = self._rarity[piece]
            if not lacking[piece] and rarity < len(self._wanted) and piece in self._wanted[rarity]:
                break
            looked += 1
        else:
            piece = -1
        if peer in self._ahead:
            self._ahead[peer] = start, looked
        return None if piece < 0 else piece

    def take(self, piece: int) -> None:
        """The piece, which `find` gave, is asked for now."""
        del self._wanted[self._rarity[piece]][piece]
