"""Gossip as bytes: libp2p's protobuf for what `rpc` has as values, and its strict signing of messages.

A message's id is its author and its seqno. The author's key is in its id, or for RSA beside the message. Whatever a
stranger sends, what comes of it is a value or RecordError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from base58 import b58encode
from coincurve import PrivateKey
from coincurve import PublicKey as Secp256k1Key
from libp2p.crypto.keys import PublicKey
from libp2p.crypto.rsa import RSAPublicKey
from libp2p.crypto.serialization import deserialize_public_key
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from wire.errors import RecordError

from .. import bounds
from .frames import varint
from .rpc import Rpc

_PREFIX = b"libp2p-pubsub:"
_SECP256K1 = b"\x00\x25\x08\x02\x12\x21"  # how the id of such a key begins: its 33 bytes follow
_KEY = b"\x08\x02\x12\x21"  # how such a key begins, beside a message or in an id
_IDENTITY = b"\x00"  # how the id of any key begins that is written out in it
_PUBLISH = b"\x12"  # field 2 of an RPC, of bytes
_NUMBER = 8  # bytes of a seqno
_RSA_EXPONENT = 2**32  # a larger one is made to cost who checks it


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that came, as it says of itself."""

    message: rpc_pb2.Message
    author: str
    seqno: int
    id: bytes
    topic: str | None  # None when there are none, or several
    formed: bool
    foreign: bool

    def signed(self) -> bool:
        """Whether its author signed it. Any bytes give an answer."""
        message = self.message
        try:
            plain = rpc_pb2.Message(
                from_id=message.from_id, data=message.data, seqno=message.seqno, topicIDs=message.topicIDs
            )
            text = _PREFIX + plain.SerializeToString()
            if not self.foreign:
                return bool(_key(message.from_id).verify(message.signature, text))
            return _foreign_key(message.from_id, message.key).verify(text, message.signature)
        except Exception:  # protobuf, multihash, three kinds of keys: a forged one meets any of them first
            return False

    def wire(self) -> bytes:
        """It as it is passed on: what its author signed. Anybody on the way may have put fields beside that, which
        cost whoever carries them, or another key, for which others would blame us."""
        message = self.message
        plain = rpc_pb2.Message(
            from_id=message.from_id, data=message.data, seqno=message.seqno, topicIDs=message.topicIDs
        )
        plain.signature = message.signature
        plain.key = message.key if self.foreign else message.from_id[len(_SECP256K1) - len(_KEY) :]
        return plain.SerializeToString()


def decode(packet: bytes) -> tuple[Rpc, list[Incoming]]:
    """What one RPC says: control, and messages. RecordError when it is malformed, or has more parts than it may."""
    try:
        return _decode(rpc_pb2.RPC.FromString(packet))
    except RecordError:
        raise
    except Exception as error:  # protobuf's, and text that is no UTF-8
        raise RecordError("a gossip RPC that cannot be read") from error


def encode(rpc: Rpc) -> bytes:
    """An RPC of all but offers and messages; empty when there is nothing else."""
    if not (rpc.subscriptions or rpc.graft or rpc.prune or rpc.iwant or rpc.idontwant):
        return b""
    whole = rpc_pb2.RPC()
    for takes_part, topic in rpc.subscriptions:
        whole.subscriptions.add(subscribe=takes_part, topicid=topic)
    for topic in rpc.graft:
        whole.control.graft.add(topicID=topic)
    for topic, seconds in rpc.prune:
        whole.control.prune.add(topicID=topic, backoff=round(seconds))
    if rpc.idontwant:
        whole.control.idontwant.add(messageIDs=rpc.idontwant)
    if rpc.iwant:
        whole.control.iwant.add(messageIDs=rpc.iwant)
    return whole.SerializeToString()


def encode_offer(topic: str, ids: Sequence[bytes]) -> bytes:
    """An RPC that offers messages."""
    rpc = rpc_pb2.RPC()
    rpc.control.ihave.add(topicID=topic, messageIDs=ids)
    return rpc.SerializeToString()


def encode_message(data: bytes) -> bytes:
    """An RPC with one message, which is given as it goes over the wire."""
    return _PUBLISH + varint(len(data)) + data


def sign(secret: bytes, author: bytes, topic: str, seqno: int, data: bytes) -> tuple[bytes, bytes]:
    """A message of ours: its id, and its bytes. `author` is our peer id's bytes."""
    key, number = PrivateKey(secret), seqno.to_bytes(_NUMBER, "big")
    message = rpc_pb2.Message(from_id=author, data=data, seqno=number, topicIDs=[topic])
    message.signature = key.sign(_PREFIX + message.SerializeToString())
    # It stands in `from` already; py-libp2p and Hallmark 0.1 send it all the same, and nobody minds.
    message.key = _KEY + key.public_key.format(compressed=True)
    return author + number, message.SerializeToString()


def _decode(rpc: rpc_pb2.RPC) -> tuple[Rpc, list[Incoming]]:
    control = rpc.control
    parts = len(rpc.publish) + len(rpc.subscriptions) + len(control.graft) + len(control.prune)
    parts += len(control.ihave) + len(control.iwant) + len(control.idontwant)
    ids = sum(len(each.messageIDs) for each in control.ihave) + sum(len(each.messageIDs) for each in control.iwant)
    ids += sum(len(each.messageIDs) for each in control.idontwant)
    if parts > bounds.RPC_PARTS or ids > bounds.RPC_IDS:
        raise RecordError(f"a gossip RPC of {parts} parts and {ids} ids")
    said = Rpc(
        subscriptions=[(each.subscribe, _text(each.topicid)) for each in rpc.subscriptions],
        graft=[_text(each.topicID) for each in control.graft],
        prune=[(_text(each.topicID), float(each.backoff)) for each in control.prune],
        ihave=[(_text(each.topicID), _short(each.messageIDs)) for each in control.ihave],
        iwant=[message_id for each in control.iwant for message_id in _short(each.messageIDs)],
        idontwant=[message_id for each in control.idontwant for message_id in _short(each.messageIDs)],
    )
    return said, [_incoming(message) for message in rpc.publish]


def _text(topic: str | bytes) -> str:
    """Protobuf gives what is no UTF-8 as bytes, whatever its types say."""
    if not isinstance(topic, str):
        raise RecordError("a topic that is no text")
    return topic


def _short(ids: Sequence[bytes]) -> list[bytes]:
    """Those that can be ids of ours; longer ones would only take room."""
    return [message_id for message_id in ids if len(message_id) <= bounds.MESSAGE_ID]


def _incoming(message: rpc_pb2.Message) -> Incoming:
    formed = (
        len(message.seqno) == _NUMBER
        and 0 < len(message.from_id) <= bounds.MESSAGE_ID - _NUMBER
        and len(message.data) <= bounds.GOSSIP
        and len(message.key) <= bounds.AUTHOR_KEY
        and 0 < len(message.signature) <= bounds.AUTHOR_SIGNATURE
    )
    return Incoming(
        message=message,
        author=_named(message.from_id) if formed else "",
        seqno=int.from_bytes(message.seqno, "big") if formed else 0,
        id=message.from_id + message.seqno if formed else b"",
        topic=_text(message.topicIDs[0]) if len(message.topicIDs) == 1 else None,
        formed=formed,
        foreign=not (message.from_id.startswith(_SECP256K1) and len(message.from_id) == len(_SECP256K1) + 33),
    )


@lru_cache(bounds.BUCKETS)
def _named(author: bytes) -> str:
    return b58encode(author).decode()


@lru_cache(bounds.BUCKETS)
def _key(author: bytes) -> Secp256k1Key:
    return Secp256k1Key(author[len(_SECP256K1) :])


def _foreign_key(author: bytes, beside: bytes) -> PublicKey:
    key = ID(author).extract_public_key() if author.startswith(_IDENTITY) else deserialize_public_key(beside)
    if key is None or ID.from_pubkey(key).to_bytes() != author:
        raise RecordError("another key than the author's")
    if isinstance(key, RSAPublicKey) and key.impl.e >= _RSA_EXPONENT:
        raise RecordError("an RSA key whose exponent is as good as a flood")
    return key
