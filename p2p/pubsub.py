"""The library's Pubsub, with what strangers reach of it replaced: reading, admitting, and forgetting peers.

As shipped, one malformed message ends the program, a message that is merely unwelcome brands whoever forwards it, and
a peer that reconnects quickly is never spoken to again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import trio
from libp2p.abc import INetStream
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from libp2p.utils.varint import read_varint_prefixed_bytes_limited

from . import bounds
from .guard import SafeHost

log = logging.getLogger(__name__)

Admit = Callable[[str, rpc_pb2.Message], bool]
"""Whether a message (from this neighbour) is delivered and forwarded; no I/O, no exception."""


class SafePubsub(Pubsub):
    """Gossip that any bytes may reach."""

    def __init__(
        self, host: SafeHost, router: GossipSub, prefix: str, admit: Admit, offend: Callable[[str], None]
    ) -> None:
        super().__init__(
            host,
            router,
            strict_signing=True,
            max_subscriptions_per_rpc=bounds.RPC_PARTS,
            max_subscriptions_per_peer=bounds.TOPICS_PER_PEER,
            max_inbound_rpc_size=bounds.RPC,
        )
        self._prefix, self._admit, self._offend = prefix, admit, offend
        self._inbound: set[INetStream] = set()
        self._opening: dict[ID, trio.Lock] = {}

    async def run(self) -> None:
        try:
            await super().run()
        finally:  # the neighbours then open their streams anew and say again what they subscribe to
            with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
                for stream in tuple(self._inbound):
                    await stream.reset()

    async def stream_handler(self, stream: INetStream) -> None:
        peer_id = stream.muxed_conn.peer_id
        self._inbound.add(stream)
        try:
            while self.manager.is_running:
                packet = await read_varint_prefixed_bytes_limited(stream, bounds.RPC)
                try:
                    await self._take(peer_id, rpc_pb2.RPC.FromString(packet))
                except Exception:  # protobuf, base58, signatures, the router: bytes of a stranger reach all of them
                    log.debug("malformed gossip from %s", peer_id, exc_info=True)
                    self._offend(str(peer_id))
                    break
        except Exception as error:  # the stream ended, in one of the library's dozen ways
            log.debug("gossip stream of %s ended: %r", peer_id, error)
        finally:
            self._inbound.discard(stream)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
                await stream.reset()

    async def _take(self, peer_id: ID, rpc: rpc_pb2.RPC) -> None:
        control = rpc.control
        parts = len(rpc.publish) + len(rpc.subscriptions)
        parts += len(control.ihave) + len(control.iwant) + len(control.graft) + len(control.prune)
        parts += len(control.idontwant)
        parts += sum(len(i.messageIDs) for i in control.ihave) + sum(len(i.messageIDs) for i in control.iwant)
        if parts > bounds.RPC_PARTS:
            raise ValueError(f"an RPC of {parts} parts, the bound is {bounds.RPC_PARTS}")
        for message in rpc.publish:
            await self.push_msg(peer_id, message)
        for subscription in rpc.subscriptions:
            if subscription.topicid.startswith(self._prefix):
                self.handle_subscription(peer_id, subscription)
        if rpc.HasField("control"):
            await self.router.handle_rpc(rpc, peer_id)

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        if self._admit(str(msg_forwarder), msg):
            await self.router.publish(msg_forwarder, msg)

    async def publish(self, topic_id: str | list[str], data: bytes) -> None:
        # The library counts on from the start's seconds, so that after a busy hour and a restart it would go back.
        self.counter = max(self.counter + 1, time.time_ns() // 1000)
        topics = [topic_id] if isinstance(topic_id, str) else topic_id
        seqno = self.counter.to_bytes(8, "big")
        message = rpc_pb2.Message(data=data, topicIDs=topics, from_id=self.my_id.to_bytes(), seqno=seqno)
        signed = PUBSUB_SIGNING_PREFIX.encode() + message.SerializeToString()
        message.signature = self.host.get_private_key().sign(signed)
        message.key = self.host.get_public_key().serialize()
        self._mark_msg_seen(message)
        await self.router.publish(self.my_id, message)

    async def _handle_new_peer(self, peer_id: ID) -> None:
        # The library may try twice at once; the later stream then takes the place of the earlier one, whose task and
        # queue nobody ends.
        lock = self._opening.setdefault(peer_id, trio.Lock())
        try:
            async with lock:
                stream = self.peers.get(peer_id)
                if stream is not None and stream.muxed_conn.is_closed:
                    self._drop(peer_id)
                await super()._handle_new_peer(peer_id)
        finally:
            if not lock.locked():
                self._opening.pop(peer_id, None)

    def _handle_dead_peer(self, peer_id: ID) -> None:
        if not self._peer_is_connected(peer_id):
            super()._handle_dead_peer(peer_id)
            return
        # An old connection's end, told after a new one stands. What the peer subscribes to came on the new one and
        # must not be forgotten with the old; only our own stream is renewed.
        self._drop(peer_id)
        self._schedule_peer_stream_retry(peer_id)

    def _drop(self, peer_id: ID) -> None:
        if self.peers.pop(peer_id, None) is not None:
            if (queue := self.peer_queues.pop(peer_id, None)) is not None:
                queue.close()
            self.router.remove_peer(peer_id)

    async def handle_dead_peer_queue(self) -> None:
        async with self.dead_peer_receive_channel:
            self.event_handle_dead_peer_queue_started.set()
            async for peer_id in self.dead_peer_receive_channel:
                stream = self.peers.get(peer_id)
                if not self._peer_is_connected(peer_id) or (stream is not None and stream.muxed_conn.is_closed):
                    self._handle_dead_peer(peer_id)

    def reopen(self) -> None:
        """Open a stream to every peer that was connected before this service ran."""
        for peer_id in self.host.get_live_peers():
            self._schedule_peer_stream_retry(peer_id)
