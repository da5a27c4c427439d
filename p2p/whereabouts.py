"""Where peers may be reached, from all that was heard of them: records, connections, the saved book, the library."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from random import Random

from libp2p.abc import IPeerStore

from wire.errors import RemoteError

from . import bounds
from .addresses import AddressBook, Multiaddr, is_circuit, parse_peer, read_address
from .joining.peerbook import PeerBook


class Whereabouts:
    """Addresses of peers, the most trusted first; all of them hints."""

    def __init__(self, book: PeerBook, store: IPeerStore) -> None:
        self._addresses, self.book, self._store = AddressBook(), book, store

    def learn(self, peer_id: str, addresses: Iterable[str]) -> None:
        """Remember where a peer may be reached, as its own signed record said, say; bad addresses are left out."""
        self._addresses.learn(peer_id, addresses)

    def of(self, peer_id: str) -> list[Multiaddr]:
        """Addresses to try, without `/p2p/…`."""
        texts = dict.fromkeys(self._addresses.of(peer_id))
        texts.update(dict.fromkeys(self.book.of(peer_id)))
        texts.update(dict.fromkeys(self._said_by(peer_id)))
        found = []
        for text in texts:
            try:
                found.append(read_address(text, peer_id)[1])
            except RemoteError:
                continue
        return found[: bounds.ADDRESSES]

    def seen(self, peer_id: str, reached: str | None = None) -> None:
        """The peer is connected now, and was dialled at `reached` if we did: the book keeps what is known of it."""
        self.book.note(peer_id, map(str, self.of(peer_id)), time.time_ns() // 1_000_000, reached=reached)

    def heard(self, most: int, random: Random) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Some of the peers whose own signed words say where they are reached, with their whole direct addresses."""
        peers = self._addresses.peers()
        for peer in random.sample(peers, min(most, len(peers))):
            direct = tuple(f"{text}/p2p/{peer}" for text in self._addresses.of(peer) if not is_circuit(text))
            if direct:
                yield peer, direct

    def _said_by(self, peer_id: str) -> list[str]:
        """The addresses that identify or the DHT left in the library's store."""
        try:
            return list(map(str, self._store.addrs(parse_peer(peer_id))))
        except Exception:  # the store raises for a peer it does not know, which is an answer like another
            return []
