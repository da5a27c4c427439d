"""Good inputs to begin with: records of ours in frames, messages of libp2p's protocols behind their lengths."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from hypothesis import HealthCheck, Phase, given, settings
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.kad_dht.pb.kademlia_pb2 import Message as KadMessage
from libp2p.kad_dht.pb.kademlia_pb2 import Record as KadRecord
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.relay.circuit_v2.pb import circuit_pb2, dcutr_pb2
from libp2p.utils.varint import encode_varint_prefixed
from multiaddr import Multiaddr

from tests.wire.records import WIRE_RECORDS, of
from wire.canonical import Record, encode
from wire.frames import Kind, frame_header

PEER = ID.from_pubkey(create_new_key_pair(bytes([7]) * 32).public_key).to_bytes()
ADDRESS = Multiaddr("/ip4/203.0.113.9/tcp/4001").to_bytes()
PER_RECORD = 4


def frame(record: Record) -> bytes:
    """The record as it travels."""
    payload = encode(record)
    return frame_header(Kind.RECORD, len(payload)) + payload


@cache
def ours() -> list[bytes]:
    """Every record of the wire, a few times each, some with data behind them: each protocol gets them all, since a
    stranger may send any of them anywhere."""
    found = [frame_header(Kind.DATA, 64) + bytes(64), frame_header(Kind.ERROR, 4) + b"abcd"]
    for kind in WIRE_RECORDS:

        @settings(
            max_examples=PER_RECORD,
            database=None,
            derandomize=True,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(of(kind))
        def collect(record: Record) -> None:
            found.append(frame(record))

        collect()
    return found + [one + frame_header(Kind.DATA, 64) + bytes(64) for one in found[::5]]


def gossip(topic: Callable[[str], str]) -> list[bytes]:
    """RPCs on topics that the target is in. Their signatures do not hold."""
    rpcs = []
    for name in ("offers", "presences", "names", "audits"):
        message = rpc_pb2.Message(
            data=bytes(64), topicIDs=[topic(name)], from_id=PEER, seqno=bytes(8), signature=bytes(64), key=bytes(37)
        )
        rpc = rpc_pb2.RPC(publish=[message])
        rpc.subscriptions.add(subscribe=True, topicid=topic(name))
        rpc.control.ihave.add(topicID=topic(name), messageIDs=[b"abc", b"def"])
        rpc.control.iwant.add(messageIDs=[b"abc"])
        rpc.control.graft.add(topicID=topic(name))
        rpc.control.prune.add(topicID=topic(name), backoff=60)
        rpcs.append(rpc)
    return [encode_varint_prefixed(rpc.SerializeToString()) for rpc in rpcs]


def kademlia() -> list[bytes]:
    """Each kind of message."""
    messages = []
    for kind in KadMessage.MessageType.values():
        message = KadMessage(type=kind, key=b"/hallmark/" + b"ab" * 16)  # type: ignore[arg-type]  # its stub wants a name
        message.record.CopyFrom(KadRecord(key=message.key, value=bytes(80)))
        for field in (message.closerPeers, message.providerPeers):
            field.add(id=PEER, addrs=[ADDRESS], connection=1)  # type: ignore[arg-type]  # as above
        messages.append(encode_varint_prefixed(message.SerializeToString()))
    return messages


def identify() -> list[bytes]:
    """What a peer says of itself."""
    said = Identify(
        protocol_version="ipfs/0.1.0", agent_version="fuzz", public_key=bytes(37), listen_addrs=[ADDRESS],
        observed_addr=ADDRESS, protocols=["/ipfs/kad/1.0.0", "/meshsub/1.1.0"],
    )  # fmt: skip
    return [encode_varint_prefixed(said.SerializeToString())]


def relaying() -> list[bytes]:
    """Reservations and connections over a relay, and what peers say to punch a hole."""
    found = []
    for kind in circuit_pb2.HopMessage.Type.values():
        hop = circuit_pb2.HopMessage(type=kind)  # type: ignore[arg-type]  # as above
        hop.peer.id = PEER
        found.append(hop.SerializeToString())
    for kind in circuit_pb2.StopMessage.Type.values():
        stop = circuit_pb2.StopMessage(type=kind)  # type: ignore[arg-type]  # as above
        stop.peer.id = PEER
        found.append(stop.SerializeToString())
    for punch in dcutr_pb2.HolePunch.Type.values():
        found.append(dcutr_pb2.HolePunch(type=punch, ObsAddrs=[ADDRESS]).SerializeToString())
    return [encode_varint_prefixed(message) for message in found]


def for_protocol(protocol: str, topic: Callable[[str], str]) -> list[bytes]:
    """What to begin with on a protocol of the target's."""
    if "/meshsub/" in protocol or "/floodsub/" in protocol:
        return gossip(topic)
    if "/kad/" in protocol:
        return kademlia()
    if "/id/" in protocol:
        return identify()
    if "/circuit/" in protocol or "/dcutr" in protocol:
        return relaying()
    if "/ping/" in protocol:
        return [bytes(range(32))]
    return ours()
