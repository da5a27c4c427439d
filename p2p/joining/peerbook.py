"""The saved peer book: whom to try first after a restart. Bounded, replaced whole, readable by its owner only.

Addresses at which we reached a peer ourselves are worth the most, and are kept for weeks. What others only said is
kept in the room that is left: however many strangers come by, they push out no peer that we reached.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from wire.bounds import Name, TimeMs
from wire.canonical import Record, decode, encode
from wire.errors import RecordError
from wire.files import replace_file

from .. import bounds
from ..standing.ranges import wide_range_of

log = logging.getLogger(__name__)

_Text = Annotated[str, Meta(max_length=bounds.ADDRESS_TEXT)]


class SavedAddress(Record):
    """Where a peer may be reached, without `/p2p/…`; `worked_ms` is when we last reached it there, 0 for never."""

    text: _Text
    worked_ms: TimeMs


class SavedPeer(Record):
    """A peer that was once connected. `anchor`: it was one of those that we came back to first."""

    peer: Name
    where: Annotated[tuple[SavedAddress, ...], Meta(max_length=bounds.ADDRESSES)]
    seen_ms: TimeMs
    anchor: bool

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, those that worked last first."""
        return tuple(one.text for one in self.where)

    @property
    def worked_ms(self) -> int:
        """When we last reached it, 0 for never."""
        return max((one.worked_ms for one in self.where), default=0)

    @property
    def range(self) -> str | None:
        """The range of the address to try first."""
        return _range(self.where[0].text) if self.where else None


class _Book(Record):
    format: Annotated[int, Meta(ge=2, le=2)]
    peers: Annotated[tuple[SavedPeer, ...], Meta(max_length=bounds.BOOK_PEERS)]


class _OldPeer(Record):
    peer: Name
    addresses: Annotated[tuple[_Text, ...], Meta(max_length=bounds.ADDRESSES)]
    seen_ms: TimeMs


class _OldBook(Record):  # as release 0.1 wrote it
    format: Annotated[int, Meta(ge=1, le=1)]
    peers: Annotated[tuple[_OldPeer, ...], Meta(max_length=bounds.BOOK_PEERS)]


class PeerBook:
    """Saved peers. Without a path it lives in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._peers: dict[str, SavedPeer] = {}
        self._changed = False
        if path is not None:
            self._load(path)

    def note(self, peer: str, addresses: Iterable[str], now_ms: int, *, reached: str | None = None) -> None:
        """A peer is here, now, and is said to be at `addresses`; `reached` is where we dialled it, if we did.

        One without addresses is not worth a place.
        """
        was = self._peers.get(peer)
        times = {one.text: one.worked_ms for one in was.where if one.worked_ms} if was else {}
        if reached is not None:
            times[reached] = now_ms
        kept = sorted(times, key=lambda text: -times[text])[: bounds.BOOK_WORKED]
        texts = [text for text in dict.fromkeys((*kept, *addresses)) if len(text) <= bounds.ADDRESS_TEXT]
        if not texts:
            return
        where = tuple(
            SavedAddress(text=text, worked_ms=times[text] if text in kept else 0) for text in texts[: bounds.ADDRESSES]
        )
        self._peers[peer] = SavedPeer(peer=peer, where=where, seen_ms=now_ms, anchor=was is not None and was.anchor)
        if len(self._peers) > bounds.BOOK_PEERS:
            del self._peers[self._least()]
        self._changed = True

    def anchor(self, peers: Iterable[str]) -> None:
        """These are the peers to come back to first."""
        chosen = set(peers)
        for peer, saved in self._peers.items():
            if saved.anchor != (peer in chosen):
                self._peers[peer] = msgspec.structs.replace(saved, anchor=peer in chosen)
                self._changed = True

    def of(self, peer: str) -> tuple[str, ...]:
        """The peer's addresses, without `/p2p/…`, those that worked first."""
        saved = self._peers.get(peer)
        return saved.addresses if saved else ()

    def latest(self) -> list[SavedPeer]:
        """All saved peers: anchors, then those that we reached, then those that we were told of, the latest first."""
        return sorted(self._peers.values(), key=lambda saved: (not saved.anchor, -saved.worked_ms, -saved.seen_ms))

    def save(self) -> None:
        """Replace the file, when there is one and something has changed. Blocks for a short write."""
        if self._path is None or not self._changed:
            return
        data = encode(_Book(format=2, peers=tuple(self.latest())))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, data)
            self._changed = False
        except OSError as error:  # a full disk must not end a peer that needs nothing of it
            log.warning("the peer book %s cannot be written: %s", self._path, error)

    def forget_old(self, now_ms: int) -> None:
        """Drop what is too old to be worth a try."""
        for peer, saved in list(self._peers.items()):
            told = now_ms - saved.seen_ms < bounds.BOOK_TOLD_MS
            where = tuple(
                one for one in saved.where
                if (now_ms - one.worked_ms < bounds.BOOK_WORKED_MS if one.worked_ms else told)
            )  # fmt: skip
            if where != saved.where:
                self._changed = True
                self._peers[peer] = msgspec.structs.replace(saved, where=where)
            if not where:
                del self._peers[peer]

    def _least(self) -> str:
        """Who goes when there are too many: first who was never reached, of the range that has most of those."""
        crowd = Counter(saved.range for saved in self._peers.values() if not saved.worked_ms)

        def worth(saved: SavedPeer) -> tuple[bool, int, int, int]:
            told = 0 if saved.worked_ms else crowd[saved.range]
            return saved.anchor, saved.worked_ms, -told, saved.seen_ms

        return min(self._peers.values(), key=worth).peer

    def _load(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                data = file.read(bounds.BOOK_BYTES + 1)
            self._peers = {saved.peer: saved for saved in _read(data)}
        except FileNotFoundError:
            return
        except (OSError, RecordError) as error:  # it is a convenience: a bad one is left aside and written anew
            log.warning("the peer book %s cannot be read and is started anew: %s", path, error)


@lru_cache(2 * bounds.BOOK_PEERS)
def _range(address: str) -> str | None:
    return wide_range_of(address)


def _read(data: bytes) -> Iterable[SavedPeer]:
    try:
        return decode(data, _Book, limit=bounds.BOOK_BYTES).peers
    except RecordError as error:
        try:
            old = decode(data, _OldBook, limit=bounds.BOOK_BYTES)
        except RecordError:
            raise error from None
    return [
        SavedPeer(
            peer=one.peer,
            where=tuple(SavedAddress(text=text, worked_ms=0) for text in one.addresses),
            seen_ms=one.seen_ms,
            anchor=False,
        )
        for one in old.peers
    ]
