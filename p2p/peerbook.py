"""The saved peer book: whom to try first after a restart. Bounded, replaced whole, readable by its owner only."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from wire.bounds import Name, TimeMs
from wire.canonical import Record, decode, encode
from wire.errors import RecordError

from . import bounds

log = logging.getLogger(__name__)


class SavedPeer(Record):
    """A peer that was once connected, with the addresses it could be reached at."""

    peer: Name
    addresses: Annotated[
        tuple[Annotated[str, Meta(max_length=bounds.ADDRESS_TEXT)], ...], Meta(max_length=bounds.ADDRESSES)
    ]
    seen_ms: TimeMs


class _Book(Record):
    format: Annotated[int, Meta(ge=1, le=1)]
    peers: Annotated[tuple[SavedPeer, ...], Meta(max_length=bounds.BOOK_PEERS)]


class PeerBook:
    """Saved peers, the latest seen first. Without a path it lives in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._peers: dict[str, SavedPeer] = {}
        self._changed = False
        if path is not None:
            self._load(path)

    def note(self, peer: str, addresses: Iterable[str], now_ms: int) -> None:
        """A peer is here, now. One without addresses is not worth a place."""
        kept = tuple(a for a in dict.fromkeys(addresses) if len(a) <= bounds.ADDRESS_TEXT)[: bounds.ADDRESSES]
        if not kept:
            return
        self._peers[peer] = SavedPeer(peer=peer, addresses=kept, seen_ms=now_ms)
        if len(self._peers) > bounds.BOOK_PEERS:
            del self._peers[min(self._peers, key=lambda p: self._peers[p].seen_ms)]
        self._changed = True

    def latest(self) -> list[SavedPeer]:
        """All saved peers, the latest seen first."""
        return sorted(self._peers.values(), key=lambda saved: -saved.seen_ms)

    def save(self) -> None:
        """Replace the file, when there is one and something has changed. Blocks for a short write."""
        if self._path is None or not self._changed:
            return
        data = encode(_Book(format=1, peers=tuple(self.latest())))
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            self._changed = False
        except OSError as error:  # a full disk must not end a peer that needs nothing of it
            log.warning("the peer book %s cannot be written: %s", self._path, error)

    def _load(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                data = file.read(bounds.BOOK_BYTES + 1)
            book = decode(data, _Book, limit=bounds.BOOK_BYTES)
        except FileNotFoundError:
            return
        except (OSError, RecordError) as error:  # it is a convenience: a bad one is left aside and written anew
            log.warning("the peer book %s cannot be read and is started anew: %s", path, error)
            return
        self._peers = {saved.peer: saved for saved in book.peers}
