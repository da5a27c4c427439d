"""What peers say of themselves (libp2p's identify), within bounds before anything is made of it or kept.

The library takes a mebibyte from anybody, makes objects of all of it while everything else waits, and keeps the
protocols, addresses and texts of every peer it ever met; once there are a thousand, the first it forgets is this peer's
own key.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from libp2p.abc import IPeerStore
from libp2p.crypto.keys import PublicKey
from libp2p.host import basic_host
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push import identify_push
from libp2p.identity.update import update_peerstore_from_identify
from libp2p.peer.envelope import Envelope
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.utils.varint import read_length_prefixed_protobuf

from . import bounds
from .addresses import Multiaddr


class BoundedPeerStore(PeerStore):
    """The library's store with room for so many peers, and so much of each; the longest unheard of are forgotten."""

    def __init__(self, own: ID) -> None:
        super().__init__(max_peers=bounds.KNOWN_PEERS)
        self._own = own
        self._order: OrderedDict[ID, None] = OrderedDict()

    def add_addrs(self, peer_id: ID, addrs: Sequence[Multiaddr], ttl: int = 0) -> None:
        self._heard_of(peer_id)
        known = len(self.peer_data_map[peer_id].addrs) if peer_id in self.peer_data_map else 0
        short = [address for address in addrs if len(address.to_bytes()) <= bounds.ADDRESS_TEXT]
        super().add_addrs(peer_id, short[: max(0, bounds.ADDRESSES - known)], ttl)

    def add_protocols(self, peer_id: ID, protocols: Sequence[str]) -> None:
        self._heard_of(peer_id)
        super().add_protocols(peer_id, protocols[: bounds.PROTOCOLS])
        del self.peer_data_map[peer_id].protocols[bounds.PROTOCOLS :]

    def add_pubkey(self, peer_id: ID, pubkey: PublicKey) -> None:
        self._heard_of(peer_id)
        super().add_pubkey(peer_id, pubkey)

    def consume_peer_record(self, envelope: Envelope, ttl: int) -> bool:
        self._heard_of(envelope.record().peer_id)
        return super().consume_peer_record(envelope, ttl)

    def _enforce_peer_limit(self) -> None:
        """Ours is done as peers are added."""

    def _heard_of(self, peer_id: ID) -> None:
        if peer_id == self._own:
            return
        self._order[peer_id] = None
        self._order.move_to_end(peer_id)
        while len(self._order) > self.max_peers:
            forgotten, _ = self._order.popitem(last=False)
            self.peer_data_map.pop(forgotten, None)
            self.peer_record_map.pop(forgotten, None)


async def _take(store: IPeerStore, peer_id: ID, said: Identify) -> None:
    addresses = [raw for raw in said.listen_addrs[: bounds.ADDRESSES] if len(raw) <= bounds.ADDRESS_TEXT]
    protocols = [name for name in said.protocols[: bounds.PROTOCOLS] if len(name) <= bounds.PROTOCOL_TEXT]
    if protocols:  # all that it serves now: the library would add them to what it served before
        store.set_protocols(peer_id, ())
    del said.listen_addrs[:], said.protocols[:]
    said.listen_addrs.extend(addresses)
    said.protocols.extend(protocols)
    if len(said.signedPeerRecord) > bounds.PEER_RECORD:
        said.ClearField("signedPeerRecord")
    await update_peerstore_from_identify(store, peer_id, said)


_read = partial(read_length_prefixed_protobuf, max_length=bounds.IDENTIFY)
for module in (basic_host, identify_push):  # the names that the library calls them by
    module.read_length_prefixed_protobuf = _read  # type: ignore[attr-defined]
    module.update_peerstore_from_identify = _take  # type: ignore[attr-defined]
