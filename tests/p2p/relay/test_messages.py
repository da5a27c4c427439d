"""The relay's messages: as the library of others writes them, and nothing but a RemoteError for any other bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.peer.envelope import make_unsigned, unmarshal_envelope
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb import circuit_pb2 as pb
from libp2p.relay.circuit_v2.utils import read_delimited_msg

from p2p import bounds
from p2p.relay.messages import (
    Addresses,
    Answer,
    Connect,
    Limit,
    Punched,
    Reserve,
    Said,
    Status,
    Sync,
    hop_bytes,
    punch_bytes,
    read_hop,
    read_punch,
    read_stop,
    receive,
    send,
    stop_bytes,
)
from p2p.relay.voucher import DOMAIN, PAYLOAD_TYPE, voucher
from p2p.swarm import create_new_key_pair
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey

from ..pairs import stream_pair

ONE, TWO = (NodeKey(secret.to_bytes(32, "big")).peer_id for secret in (1, 2))
HELD = Answer(Status.OK, Limit(120, 1 << 17), 1_800_000_000, (f"/ip4/192.0.2.1/tcp/1/p2p/{ONE}",), b"proof")


@pytest.mark.parametrize("message", [Reserve(), Connect(TWO), Answer(Status.NO_RESERVATION), HELD])
async def test_hop_messages_are_read_as_written(message: Said) -> None:
    near, far = stream_pair(most=3)
    await send(near, hop_bytes(message) + b"what follows is the circuit's")
    assert await receive(far, read_hop) == message
    assert far.unread == len(b"what follows is the circuit's")


@pytest.mark.parametrize("message", [Connect(TWO, Limit(7, 8)), Answer(Status.OK)])
async def test_stop_messages_are_read_as_written(message: Connect | Answer) -> None:
    near, far = stream_pair()
    await send(near, stop_bytes(message))
    assert await receive(far, read_stop) == message


@pytest.mark.parametrize("message", [Addresses(("/ip4/192.0.2.1/tcp/9",)), Addresses(()), Sync()])
async def test_punch_messages_are_read_as_written(message: Punched) -> None:
    near, far = stream_pair()
    await send(near, punch_bytes(message))
    assert await receive(far, read_punch) == message


async def test_the_librarys_own_reader_understands_them() -> None:
    near, far = stream_pair()
    await send(near, hop_bytes(HELD))
    theirs = await read_delimited_msg(far, pb.HopMessage)
    assert theirs.status == pb.OK
    assert (theirs.reservation.expire, theirs.limit.data) == (HELD.expires, HELD.limit.data)


@given(st.binary(max_size=200), st.sampled_from([read_hop, read_stop, read_punch]))
def test_any_bytes_give_a_message_or_a_remote_error(data: bytes, read: Callable[[bytes], object]) -> None:
    try:
        assert read(data) is not None
    except RemoteError as error:
        assert error.code is ErrorCode.BAD_FRAME  # noqa: PT017 — both outcomes are right


@given(st.lists(st.binary(max_size=80), max_size=100))
def test_a_relays_addresses_are_bounded(addresses: list[bytes]) -> None:
    said = pb.HopMessage(type=pb.HopMessage.STATUS, reservation=pb.Reservation(expire=1, addrs=addresses))
    message = read_hop(said.SerializeToString())
    assert isinstance(message, Answer)
    assert len(message.addresses) <= bounds.ADDRESSES


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xff\xff\xff\x0f", ErrorCode.BAD_FRAME),  # a length without end
        (b"\x81\x20", ErrorCode.BAD_FRAME),  # 4,097 bytes
        (b"\x04\xff", ErrorCode.LINK_LOST),  # an end in the middle
        (b"\x02\xff\xff", ErrorCode.BAD_FRAME),
    ],
)
async def test_what_is_no_message_costs_the_stream_alone(data: bytes, code: ErrorCode) -> None:
    near, far = stream_pair()
    await near.write(data)
    await near.close()
    with pytest.raises(RemoteError) as caught:
        await receive(far, read_hop)
    assert caught.value.code is code


async def test_who_says_nothing_is_not_waited_for_long(autojump_clock: object) -> None:  # noqa: ARG001
    _, far = stream_pair()
    with pytest.raises(RemoteError) as caught:
        await receive(far, read_hop)
    assert caught.value.code is ErrorCode.TIMEOUT


def test_a_voucher_is_signed_for_what_it_says() -> None:
    pair = create_new_key_pair(bytes(31) + b"\x01")
    envelope = unmarshal_envelope(voucher(pair.private_key, ONE, TWO, 1_800_000_000))
    said = pb.Voucher.FromString(envelope.raw_payload)
    assert (said.relay, said.peer) == (ID.from_string(ONE).to_bytes(), ID.from_string(TWO).to_bytes())
    assert said.expiration == 1_800_000_000
    assert envelope.payload_type == PAYLOAD_TYPE
    assert envelope.public_key == pair.public_key
    assert pair.public_key.verify(make_unsigned(DOMAIN, PAYLOAD_TYPE, envelope.raw_payload), envelope.signature)
    with pytest.raises(ValueError, match="signature"):
        envelope.validate("libp2p-peer-record")
