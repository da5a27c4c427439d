"""Gossip's bytes: what is signed is believed, what is changed is not, and any bytes are a value or a RecordError."""

from __future__ import annotations

from random import Random

import pytest
from Crypto.PublicKey import RSA
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair as ed25519
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.rsa import RSAPrivateKey, RSAPublicKey
from libp2p.crypto.rsa import create_new_key_pair as rsa
from libp2p.crypto.secp256k1 import create_new_key_pair as secp256k1
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import signature_validator

from p2p import bounds
from p2p.gossip.messages import Incoming, decode, encode, encode_message, encode_offer, sign
from p2p.gossip.rpc import Rpc
from wire.errors import RecordError
from wire.keys import NodeKey

from .foreign import signed_by

KEY = NodeKey(bytes([5]) * 32)
AUTHOR = ID.from_base58(KEY.peer_id).to_bytes()


def ours(data: bytes = b"data", seqno: int = 7) -> rpc_pb2.Message:
    return rpc_pb2.Message.FromString(sign(KEY.secret, AUTHOR, "topic", seqno, data)[1])


def read(message: rpc_pb2.Message) -> Incoming:
    _, (found,) = decode(encode_message(message.SerializeToString()))
    return found


def test_what_we_sign_is_what_the_library_signs_and_believes() -> None:
    message_id, data = sign(KEY.secret, AUTHOR, "topic", 2**40, b"data")
    message = rpc_pb2.Message.FromString(data)
    assert signature_validator(message)
    found = read(message)
    assert (found.id, found.author, found.seqno, found.topic) == (message_id, KEY.peer_id, 2**40, "topic")
    assert (found.formed, found.foreign, found.signed()) == (True, False, True)
    assert found.wire() == data  # so it is forwarded as it came


@pytest.mark.parametrize(
    "changes",
    [
        {"data": b"other"},
        {"seqno": b"8 bytes!"},
        {"from_id": ID.from_base58(NodeKey(bytes([6]) * 32).peer_id).to_bytes()},
        {"from_id": b"\x00\x25\x08\x02\x12\x21" + bytes(33)},
        {"from_id": b"\x12\x20" + bytes(32)},
        {"signature": bytes(70)},
        {"signature": b"0"},
        {"topicIDs": "other"},
    ],
)
def test_whatever_is_changed_it_is_not_signed(changes: dict[str, bytes | str]) -> None:
    message = ours()
    for field, value in changes.items():
        if field == "topicIDs":
            message.topicIDs[0] = value
        else:
            setattr(message, field, value)
    assert read(message).formed
    assert not read(message).signed()


@pytest.mark.parametrize(
    "changes",
    [
        {"seqno": b"short"},
        {"seqno": b""},
        {"from_id": b""},
        {"from_id": bytes(65)},
        {"signature": b""},
        {"signature": bytes(bounds.AUTHOR_SIGNATURE + 1)},
        {"key": bytes(bounds.AUTHOR_KEY + 1)},
        {"data": bytes(bounds.GOSSIP + 1)},
    ],
)
def test_fields_that_no_honest_message_has_are_seen_before_anything_is_computed(changes: dict[str, bytes]) -> None:
    message = ours()
    for field, value in changes.items():
        setattr(message, field, value)
    assert not read(message).formed


def test_keys_of_other_kinds_are_read_where_libp2p_puts_them() -> None:
    large = rsa(bits=1024)  # as for all of RSA here: making the key is what takes time
    for message in (signed_by(ed25519()), signed_by(secp256k1(), beside=True), signed_by(large, beside=True)):
        assert read(message).formed
        assert read(message).signed()
        message.data = b"changed"
        assert not read(message).signed()
    assert [read(signed_by(pair)).foreign for pair in (ed25519(), secp256k1())] == [True, False]
    assert not read(signed_by(large)).signed()  # its key is not in its id
    assert not read(signed_by(large, key=rsa(bits=1024).public_key.serialize())).signed()


def test_an_rsa_key_made_to_cost_is_not_computed_with() -> None:
    dear = RSA.generate(1024, e=2**61 - 1)
    assert not read(signed_by(KeyPair(RSAPrivateKey(dear), RSAPublicKey(dear.public_key())), beside=True)).signed()


def test_control_comes_back_as_it_went_out() -> None:
    rpc = Rpc(
        subscriptions=[(True, "a"), (False, "b")],
        graft=["a"],
        prune=[("b", 60.0)],
        iwant=[b"1", b"\xff"],
        idontwant=[b"2"],
    )
    assert decode(encode(rpc)) == (rpc_of(rpc), [])
    assert decode(encode_offer("a", [b"1"])) == (rpc_of(Rpc(ihave=[("a", [b"1"])])), [])
    assert encode(Rpc(messages=[("a", b"1", b"x")])) == b""


def test_a_topic_that_is_no_text_is_malformed() -> None:
    packet = encode(Rpc(subscriptions=[(True, "topic")], graft=["topic"], prune=[("topic", 1.0)]))
    for place in range(len(packet) - 5):
        if packet[place : place + 5] == b"topic":
            with pytest.raises(RecordError):
                decode(packet[:place] + b"\xc7" + packet[place + 1 :])


def rpc_of(rpc: Rpc) -> Rpc:
    """As it is read: lists everywhere."""
    return Rpc(
        subscriptions=list(rpc.subscriptions),
        messages=(),
        graft=list(rpc.graft),
        prune=list(rpc.prune),
        ihave=list(rpc.ihave),
        iwant=list(rpc.iwant),
        idontwant=list(rpc.idontwant),
    )


def test_ids_too_long_to_be_ours_take_no_room() -> None:
    rpc, _ = decode(encode(Rpc(iwant=[b"1", bytes(bounds.MESSAGE_ID + 1)], idontwant=[bytes(1000)])))
    assert (rpc.iwant, rpc.idontwant) == ([b"1"], [])


@pytest.mark.parametrize(
    "rpc",
    [
        rpc_pb2.RPC(publish=[rpc_pb2.Message()] * (bounds.RPC_PARTS + 1)),
        rpc_pb2.RPC(subscriptions=[rpc_pb2.RPC.SubOpts()] * (bounds.RPC_PARTS + 1)),
        rpc_pb2.RPC(
            control=rpc_pb2.ControlMessage(ihave=[rpc_pb2.ControlIHave(messageIDs=[b"1"] * (bounds.RPC_IDS + 1))])
        ),
    ],
)
def test_an_rpc_of_too_many_parts_is_malformed(rpc: rpc_pb2.RPC) -> None:
    with pytest.raises(RecordError, match="parts"):
        decode(rpc.SerializeToString())


def use(packet: bytes) -> None:
    try:
        _, messages = decode(packet)
    except RecordError:
        return
    for message in messages:
        if message.formed:
            assert message.signed() in (True, False)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_record_error(packet: bytes) -> None:
    use(packet)


def test_a_good_rpc_with_any_bytes_changed_is_a_value_or_a_record_error() -> None:
    chance = Random(1)
    control = encode(Rpc(subscriptions=[(True, "topic")], prune=[("topic", 60.0)], iwant=[b"1"], idontwant=[b"2"]))
    whole = control + encode_offer("topic", [b"1"]) + encode_message(ours().SerializeToString())
    for _ in range(3000):
        packet = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            packet[chance.randrange(len(packet))] = chance.randrange(256)
        use(bytes(packet[: chance.randrange(len(packet) + 1)]) if chance.random() < 0.3 else bytes(packet))


@pytest.mark.parametrize("key", [b"", b"\x08\x02\x12\x21" + bytes(33), b"?" * bounds.AUTHOR_KEY])
def test_what_somebody_put_beside_a_signed_message_is_not_passed_on(key: bytes) -> None:
    """An attacker changes what no signature covers: for others the message is then malformed, or very long."""
    plain = ours()
    changed = rpc_pb2.Message.FromString(plain.SerializeToString() + b"\x7a\x80\x80\x04" + bytes(65536))  # field 15
    changed.key = key
    found = read(changed)
    assert found.formed
    assert found.signed()
    assert found.wire() == plain.SerializeToString()


@pytest.mark.parametrize("pair", [ed25519(), rsa(2048)])
def test_what_another_kind_of_key_signed_keeps_the_key_beside_it(pair: KeyPair) -> None:
    message = signed_by(pair, beside=True)
    assert read(message).wire() == message.SerializeToString()
