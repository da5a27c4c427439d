"""Where peers may be reached, from all that was heard of them: records, connections, the saved book, the library."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from random import Random

import trio
from libp2p.abc import IPeerStore

from wire.errors import RemoteError

from . import bounds
from .addresses import AddressBook, Multiaddr, is_circuit, parse_peer, read_address
from .joining.peerbook import PeerBook


class Whereabouts:
    """Addresses of peers, the most trusted first; all of them hints."""

    def __init__(self, book: PeerBook, store: IPeerStore) -> None:
        self._addresses, self._hearsay = AddressBook(), AddressBook()
        self.book, self._store = book, store

    def learn(self, peer_id: str, addresses: Iterable[str]) -> None:
        """Remember where a peer may be reached, as its own signed record said, say; bad addresses are left out."""
        self._addresses.learn(peer_id, addresses)

    def hint(self, peer_id: str, addresses: Iterable[str]) -> None:
        """Remember where others say that a peer may be reached: it is tried last, and told to nobody."""
        self._hearsay.learn(peer_id, addresses)

    def of(self, peer_id: str) -> list[Multiaddr]:
        """Addresses to try, without `/p2p/…`."""
        hearsay = _read(self._hearsay.of(peer_id), peer_id)
        return list(dict.fromkeys((*self.vouched(peer_id), *hearsay)))[: bounds.ADDRESSES]

    def vouched(self, peer_id: str) -> list[Multiaddr]:
        """Those of them that the peer itself told, or that worked."""
        texts = dict.fromkeys(self._addresses.of(peer_id))
        texts.update(dict.fromkeys(self.book.of(peer_id)))
        texts.update(dict.fromkeys(self._said_by(peer_id)))
        return _read(texts, peer_id)[: bounds.ADDRESSES]

    def seen(self, peer_id: str, reached: str | None = None) -> None:
        """The peer is connected now, and was dialled at `reached` if we did: the book keeps what is known of it."""
        self.book.note(peer_id, map(str, self.vouched(peer_id)), time.time_ns() // 1_000_000, reached=reached)

    async def keep_book(self) -> None:
        """Save the book now and then, for ever."""
        self.book.forget_old(time.time_ns() // 1_000_000)
        while True:
            await trio.sleep(bounds.BOOK_PAUSE)
            await trio.to_thread.run_sync(self.book.save)

    def heard(self, most: int, random: Random) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Some of the peers whose own signed words say where they are reached, with their whole direct addresses."""
        peers = self._addresses.peers()
        for peer in random.sample(peers, min(most, len(peers))):
            direct = tuple(f"{text}/p2p/{peer}" for text in self._addresses.of(peer) if not is_circuit(text))
            if direct:
                yield peer, direct

    def _said_by(self, peer_id: str) -> list[str]:
        """The addresses that identify left in the library's store."""
        try:
            return list(map(str, self._store.addrs(parse_peer(peer_id))))
        except Exception:  # the store raises for a peer it does not know, which is an answer like another
            return []


def _read(texts: Iterable[str], peer_id: str) -> list[Multiaddr]:
    found = []
    for text in texts:
        try:
            found.append(read_address(text, peer_id)[1])
        except RemoteError:
            continue
    return found
