"""Messages as another implementation would sign them."""

from __future__ import annotations

from itertools import count

from libp2p.crypto.keys import KeyPair
from libp2p.crypto.secp256k1 import create_new_key_pair as secp256k1
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from wire.keys import NodeKey

_NUMBERS = count(1)


def signed_by(
    pair: KeyPair | NodeKey, data: bytes = b"data", topic: str = "topic", *, beside: bool = False, **changes: bytes
) -> rpc_pb2.Message:
    """One with a seqno of its own, its key beside it if asked for, and changed afterwards."""
    if isinstance(pair, NodeKey):
        pair = secp256k1(pair.secret)
    author, seqno = ID.from_pubkey(pair.public_key).to_bytes(), next(_NUMBERS).to_bytes(8, "big")
    message = rpc_pb2.Message(from_id=author, data=data, seqno=seqno, topicIDs=[topic])
    message.signature = pair.private_key.sign(b"libp2p-pubsub:" + message.SerializeToString())
    if beside:
        message.key = pair.public_key.serialize()
    for field, value in changes.items():
        setattr(message, field, value)
    return message
