"""Gossip: news that every peer of a topic hears, admitted message by message.

A rule of the topic answers ACCEPT (deliver and forward), IGNORE (neither; nobody is to blame) or REJECT (the neighbour
who forwarded it should have known better). Only REJECT, malformed bytes and floods cost the sender; one that goes on
is disconnected and refused for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import trio
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, PROTOCOL_ID_V12, GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub_notifee import PubsubNotifee
from libp2p.pubsub.validators import signature_validator
from libp2p.tools.anyio_service import background_trio_service

from wire.errors import RecordError, RemoteError
from wire.keys import peer_id_of, public_of
from wire.network import Network

from . import bounds
from .guard import SafeHost
from .pubsub import SafePubsub
from .rates import Rates, Standing

log = logging.getLogger(__name__)


class Admission(Enum):
    """What a topic's rule says of a message."""

    ACCEPT = "accept"
    IGNORE = "ignore"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class _Topic:
    admit: Callable[[bytes, str], Admission]
    deliver: Callable[[bytes, str], None]


class Gossip:
    """The topics this peer takes part in, over a Pubsub that may be restarted underneath."""

    def __init__(self, host: SafeHost, network: Network, standing: Standing, expel: Callable[[str], None]) -> None:
        self._host, self._network, self._standing, self._expel = host, network, standing, expel
        self._topics: dict[str, _Topic] = {}
        self._senders = Rates(bounds.SENDER_RATE, bounds.SENDER_BURST)
        self._authors = Rates(bounds.ORIGIN_RATE, bounds.ORIGIN_BURST)
        self._pubsub: SafePubsub | None = None

    async def run(self) -> None:
        """Serve until cancelled or until the library's service fails; may be run again."""
        protocols = [TProtocol(p) for p in (PROTOCOL_ID_V12, PROTOCOL_ID_V11, PROTOCOL_ID)]
        router = GossipSub(
            protocols,
            degree=6,
            degree_low=4,
            degree_high=12,
            heartbeat_interval=1,
            # It would turn the second into thirty in a small network, and who reconnects is deaf and mute until then.
            adaptive_gossip_enabled=False,
        )
        pubsub = SafePubsub(
            self._host, router, self._network.protocol("x").removesuffix("x/1"), self._admit, self._offend
        )
        try:
            async with background_trio_service(router), background_trio_service(pubsub) as service:
                await pubsub.wait_until_ready()
                for topic in self._topics:
                    await pubsub.subscribe(topic)
                self._pubsub = pubsub
                pubsub.reopen()
                await service.wait_finished()
        finally:
            self._pubsub = None
            for notifee in tuple(self._host.swarm.notifees):
                if isinstance(notifee, PubsubNotifee):
                    self._host.swarm.remove_notifee(notifee)

    async def join(
        self, topic: str, admit: Callable[[bytes, str], Admission], deliver: Callable[[bytes, str], None]
    ) -> None:
        """Take part in `topic`. Both callables get the payload and its author's peer id, and must not block."""
        name = self._network.protocol(topic)
        self._topics[name] = _Topic(admit, deliver)
        if self._pubsub is not None:
            await self._pubsub.subscribe(name)

    async def publish(self, topic: str, data: bytes) -> None:
        """Sign `data` and send it to the topic's peers; it is not delivered here. ValueError over the size bound."""
        if len(data) > bounds.GOSSIP:
            raise ValueError(f"a gossip message of {len(data)} bytes, the bound is {bounds.GOSSIP}")
        if self._pubsub is not None:  # else it is being restarted, and gossip promises nothing
            await self._pubsub.publish(self._network.protocol(topic), data)

    def peers(self, topic: str) -> int:
        """How many neighbours take part in `topic`, as far as is known."""
        known = self._pubsub.peer_topics if self._pubsub is not None else {}
        return len(known.get(self._network.protocol(topic), ()))

    def _admit(self, sender: str, message: rpc_pb2.Message) -> bool:
        """The order matters: what costs nothing first, the sender's rate before any signature is computed, and the
        author's rate only after it, or anyone could use up the rate of another."""
        now = trio.current_time()
        if self._standing.is_refused(sender, now):
            return False
        if not self._senders.take(sender, now):
            self._offend(sender, bounds.FLOOD_OFFENCE)
            return False
        topic = self._topics.get(message.topicIDs[0]) if len(message.topicIDs) == 1 else None
        if topic is None:
            return False  # a topic left or not yet joined
        pubsub = self._pubsub
        if pubsub is None or (len(message.seqno) == 8 and pubsub._is_msg_seen(message)):
            return False
        author = _author(message)
        if author is None:
            self._offend(sender)
            return False
        pubsub._mark_msg_seen(message)
        if author == str(self._host.get_id()) or not self._authors.take(author, now):
            return False
        verdict = self._ask(topic, message.data, author)
        if verdict is Admission.REJECT:
            self._offend(sender)
        if verdict is Admission.ACCEPT:
            self._deliver(topic, message.data, author)
        return verdict is Admission.ACCEPT

    def _ask(self, topic: _Topic, data: bytes, author: str) -> Admission:
        try:
            return topic.admit(data, author)
        except (RecordError, RemoteError) as error:
            log.debug("gossip of %s breaks a rule: %s", author, error)
            return Admission.REJECT
        except Exception:  # a fault of ours is no one's offence, and must not end the neighbour's stream
            log.exception("the admission of gossip failed")
            return Admission.IGNORE

    def _deliver(self, topic: _Topic, data: bytes, author: str) -> None:
        try:
            topic.deliver(data, author)
        except Exception:  # as above
            log.exception("the delivery of gossip failed")

    def _offend(self, sender: str, weight: float = 1.0) -> None:
        if self._standing.offend(sender, trio.current_time(), weight):
            log.warning("peer %s sent too much bad gossip: refused for %.0f s", sender, bounds.REFUSAL)
            self._expel(sender)


def _author(message: rpc_pb2.Message) -> str | None:
    """Who signed the message; None when its fields break a bound or its signature is not the author's."""
    if len(message.data) > bounds.GOSSIP or len(message.seqno) != 8:
        return None
    if len(message.from_id) > 64 or len(message.key) > 64 or len(message.signature) > 128:
        return None
    author = ID(message.from_id).to_base58()
    try:
        if peer_id_of(public_of(author)) == author and signature_validator(message):
            return author
    except Exception as error:  # a forged key or signature, refused by whichever library met it first
        log.debug("gossip with a bad signature: %r", error)
    return None
