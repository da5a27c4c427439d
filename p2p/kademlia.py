"""The library's DHT as one of this network's own, with what strangers may do to it bounded.

It speaks under an id with the network's name, so that it never mixes with the public DHT, and knows only peers that
said they are of this network; release 0.1.0 had the library's id and is still met under it. As shipped, twelve silent
streams of one peer stop it serving anybody, anyone can fill its store of values, and whoever is named is believed in.
"""

from __future__ import annotations

from collections import Counter

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.kad_dht import kad_dht, peer_routing, provider_store
from libp2p.kad_dht.common import PROTOCOL_ID
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.kad_dht.peer_routing import PeerRouting
from libp2p.kad_dht.routing_table import RoutingTable
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo

from wire.network import Network

from . import bounds
from .guard import SafeHost, reset
from .records import Records, validator

for module in (kad_dht, peer_routing, provider_store):  # each reads the constant from its own namespace
    module.MAX_DHT_MESSAGE_SIZE = bounds.DHT_MESSAGE  # type: ignore[attr-defined]  # a name they only import


def id_of(network: Network) -> TProtocol:
    """The id of the network's own DHT."""
    return TProtocol(network.protocol("kad"))


def is_server(protocols: frozenset[str], network: Network) -> bool:
    """Whether a peer that serves these protocols serves the network's DHT, by its own id or as release 0.1.0 did."""
    if id_of(network) in protocols:
        return True
    return PROTOCOL_ID in protocols and any(each.startswith(f"/hallmark/{network.name}/") for each in protocols)


class _Table(RoutingTable):
    """A routing table of peers that said themselves that they serve this network's DHT."""

    def __init__(self, host: SafeHost, network: Network) -> None:
        super().__init__(host.get_id(), host)
        self._host, self._network = host, network

    async def add_peer(self, peer_obj: PeerInfo | ID, *, skip_server_mode_check: bool = False) -> bool:  # noqa: ARG002
        # The library believes in whoever opens a stream of the DHT's, and in all whom others name.
        peer = peer_obj.peer_id if isinstance(peer_obj, PeerInfo) else peer_obj
        if not is_server(self._host.speaks(peer), self._network):
            return False
        return await super().add_peer(peer_obj, skip_server_mode_check=True)


class SafeKadDHT(KadDHT):
    """A DHT whose values are `records`, and that serves everybody a little.

    `legacy`: whether peers of release 0.1.0 are served under the id that they, and the public DHT, know.
    """

    def __init__(self, host: SafeHost, network: Network, mode: DHTMode, records: Records, legacy: bool) -> None:
        ours = id_of(network)
        host.rename(PROTOCOL_ID, dialled=(ours, PROTOCOL_ID), served=(ours, PROTOCOL_ID) if legacy else (ours,))
        super().__init__(host, mode, validator=validator(records), validator_changed=True, strict_validation=True)
        self.routing_table = _Table(host, network)
        self.peer_routing = self.provider_store.peer_routing = PeerRouting(host, self.routing_table)
        self.value_store = records
        self._serving: Counter[str] = Counter()

    async def handle_stream(self, stream: INetStream) -> None:
        peer = str(stream.muxed_conn.peer_id)
        if self._serving[peer] >= bounds.DHT_STREAMS_PER_PEER:
            await reset(stream)
            return
        self._serving[peer] += 1
        try:
            with trio.move_on_after(bounds.DHT_STREAM_TIME) as scope:
                await super().handle_stream(stream)
            if scope.cancelled_caught:
                await reset(stream)
        finally:
            self._serving[peer] -= 1
            if not self._serving[peer]:
                del self._serving[peer]
