"""The library's DHT with what strangers may do to it bounded: the size of a message, the streams and their time.

As shipped, twelve silent streams of one peer stop it serving anybody, and anyone can fill its store of values.
"""

from __future__ import annotations

from collections import Counter

import trio
from libp2p.abc import INetStream
from libp2p.kad_dht import kad_dht, peer_routing, provider_store
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT

from . import bounds
from .guard import SafeHost, reset
from .records import Records, validator

for module in (kad_dht, peer_routing, provider_store):  # each reads the constant from its own namespace
    module.MAX_DHT_MESSAGE_SIZE = bounds.DHT_MESSAGE  # type: ignore[attr-defined]  # a name they only import


class SafeKadDHT(KadDHT):
    """A DHT whose values are `records`, and that serves everybody a little."""

    def __init__(self, host: SafeHost, mode: DHTMode, records: Records) -> None:
        super().__init__(host, mode, validator=validator(records), validator_changed=True, strict_validation=True)
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
