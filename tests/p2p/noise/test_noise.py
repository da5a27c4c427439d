"""Noise: what two sides agree on, and what becomes of everything else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID
from libp2p.security.noise.exceptions import InvalidSignature, NoiseFailure, PeerIDMismatchesPubkey
from libp2p.security.noise.messages import NoiseHandshakePayload
from noise.connection import Keypair, NoiseConnection

from p2p import bounds
from p2p.noise import cipher as noise_cipher
from p2p.noise.cipher import PLAIN, Opener, Sealer, nonce
from p2p.noise.handshake import PROTOCOL, Handshake
from p2p.noise.transport import NoiseTransport

from ..muxers import LEFT, RIGHT, in_memory, over_tcp, secured, security

KEY = bytes(range(32))


def shaken() -> tuple[Handshake, Handshake]:
    """Two sides, one message short of the end."""
    left, right = (Handshake(X25519PrivateKey.generate(), initiator) for initiator in (True, False))
    right.read(left.write())
    assert left.read(right.write(b"from the right")) == b"from the right"
    return left, right


def sealed(*parts: bytes) -> bytes:
    return b"".join(bytes(view) for view in Sealer(KEY).seal(parts))


def fed(opener: Opener, data: bytes, cut: int = 1 << 20) -> bytes:
    """Everything that the opener makes of `data`, which comes `cut` bytes at a time."""
    plain = bytearray()
    while data:
        space = opener.space()
        piece = data[: min(cut, len(space))]
        space[: len(piece)] = piece
        opener.filled(len(piece))
        data = data[len(piece) :]
        for message in opener.opened():
            plain += message
    return bytes(plain)


# The handshake.


def test_both_sides_end_with_the_same_keys_and_each_others_static_key() -> None:
    left, right = shaken()
    assert right.read(left.write(b"from the left")) == b"from the left"
    assert left.keys() == right.keys()[::-1]
    assert left.done
    assert right.done
    assert left.remote_static != right.remote_static


@pytest.mark.parametrize("initiator", [True, False])
def test_the_handshake_is_that_of_another_implementation(initiator: bool) -> None:
    static = X25519PrivateKey.generate()
    other = NoiseConnection.from_name(PROTOCOL)
    other.set_keypair_from_private_bytes(Keypair.STATIC, X25519PrivateKey.generate().private_bytes_raw())
    (other.set_as_responder if initiator else other.set_as_initiator)()
    other.start_handshake()
    ours = Handshake(static, initiator)
    for message in range(3):
        if (message % 2 == 0) == initiator:
            assert other.read_message(ours.write(b"ours")) == b"ours"
        else:
            assert ours.read(bytes(other.write_message(b"other"))) == b"other"
    send, receive = ours.keys()
    assert other.decrypt(b"".join(bytes(v)[2:] for v in Sealer(send).seal([b"hello"]))) == b"hello"
    reply = bytes(other.encrypt(b"back"))
    assert fed(Opener(receive), len(reply).to_bytes(2, "big") + reply) == b"back"


def test_messages_out_of_turn_are_refused() -> None:
    with pytest.raises(NoiseFailure):
        Handshake(X25519PrivateKey.generate(), initiator=False).write()
    left, _ = shaken()
    with pytest.raises(NoiseFailure):
        left.read(bytes(100))
    with pytest.raises(NoiseFailure):
        left.keys()


@given(st.binary(max_size=300))
def test_any_bytes_instead_of_a_handshake_are_a_noise_failure(junk: bytes) -> None:
    left = Handshake(X25519PrivateKey.generate(), initiator=True)
    left.write()
    with pytest.raises(NoiseFailure):
        left.read(junk)
    _, right = shaken()
    with pytest.raises(NoiseFailure):
        right.read(junk)


def test_a_key_that_makes_the_secret_known_is_refused() -> None:
    right = Handshake(X25519PrivateKey.generate(), initiator=False)
    right.read(bytes(32))  # a point of low order
    with pytest.raises(NoiseFailure, match="no good"):
        right.write()


# Transport messages.


@given(
    st.lists(st.integers(0, 40).map(lambda n: bytes(n)) | st.integers(0, 3 * PLAIN).map(lambda n: b"\x07" * n)),
    st.integers(1, 100_000),
)
def test_what_is_sealed_in_parts_opens_however_it_is_cut(parts: Sequence[bytes], cut: int) -> None:
    data = sealed(*parts)
    assert fed(Opener(KEY), data, max(cut, len(data) // 200)) == b"".join(parts)


@given(st.data())
def test_one_changed_bit_ends_the_run(data: st.DataObject) -> None:
    good = sealed(b"first" * 9) + b""
    at = data.draw(st.integers(2, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(NoiseFailure, match="changed"):
        fed(Opener(KEY), bytes(bad))


def test_a_replayed_a_dropped_and_a_swapped_message_are_refused() -> None:
    sealer = Sealer(KEY)
    first, second = (b"".join(bytes(v) for v in sealer.seal([text])) for text in (b"first", b"second"))
    assert fed(Opener(KEY), first + second) == b"firstsecond"
    for wrong in (first + first, second, second + first):
        with pytest.raises(NoiseFailure):
            fed(Opener(KEY), wrong)
    with pytest.raises(NoiseFailure, match="too short"):
        fed(Opener(KEY), b"\x00\x0f" + bytes(15))


@given(st.binary(max_size=2000))
def test_any_bytes_to_open_are_nothing_or_a_noise_failure(junk: bytes) -> None:
    with suppress(NoiseFailure):
        assert fed(Opener(KEY), junk) == b""


def test_a_key_is_not_used_for_ever() -> None:
    assert nonce(1) == bytes(4) + b"\x01" + bytes(7)
    with pytest.raises(NoiseFailure):
        nonce(2**64 - 1)


def test_an_idle_connection_holds_little_memory() -> None:
    opener = Opener(KEY)
    fed(opener, sealed(bytes(100)))
    assert len(opener.space()) <= bounds.RECEIVE_LEAST
    fed(opener, b"")
    assert noise_cipher._scratch.plain.nbytes == PLAIN


# Connections.


@pytest.mark.parametrize(("left", "right"), [(True, True), (True, False), (False, True)])
async def test_sessions_with_the_librarys_noise(left: bool, right: bool) -> None:
    ends = await over_tcp()
    near, far = await secured(security(left, LEFT), security(right, RIGHT), ends)
    assert near.get_remote_peer() == ID.from_pubkey(RIGHT.public_key)
    assert far.get_remote_peer() == ID.from_pubkey(LEFT.public_key)
    data = bytes(range(256)) * 1000
    for sender, receiver in ((near, far), (far, near)):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender.write, data)
            back = b""
            while len(back) < len(data):
                back += await receiver.read(min(10_000, len(data) - len(back)))
        assert back == data
    await near.close()
    await far.close()


async def test_another_peer_than_expected_is_refused() -> None:
    other = create_new_key_pair()  # the dialler expects RIGHT
    with pytest.raises(ExceptionGroup) as caught:
        await secured(NoiseTransport(LEFT), NoiseTransport(other), in_memory())
    assert caught.value.subgroup(PeerIDMismatchesPubkey)


@pytest.mark.parametrize("liar_dials", [True, False])
async def test_a_signature_by_another_key_or_over_another_key_is_refused(liar_dials: bool) -> None:
    liar = NoiseTransport(LEFT if liar_dials else RIGHT)
    said = NoiseHandshakePayload.deserialize(liar._payload)
    stolen = NoiseTransport(create_new_key_pair())._payload
    unsigned = NoiseHandshakePayload(said.id_pubkey, b"x" * len(said.id_sig)).serialize()
    moved = NoiseHandshakePayload(said.id_pubkey, NoiseHandshakePayload.deserialize(stolen).id_sig).serialize()
    for payload in (stolen, unsigned, moved, b"", b"\xff" * 40):
        liar._payload = payload
        honest = NoiseTransport(RIGHT if liar_dials else LEFT)
        ends = in_memory()
        with pytest.raises(ExceptionGroup) as caught:
            with trio.fail_after(5):
                await secured(*((liar, honest) if liar_dials else (honest, liar)), ends)
        assert caught.value.subgroup(InvalidSignature)


@pytest.mark.parametrize("junk", [b"", b"\x00", b"\x00\x20" + bytes(10), b"\x00\x00", b"\xff\xff" + bytes(70_000)])
async def test_a_dialler_that_speaks_no_noise_costs_its_connection_alone(junk: bytes) -> None:
    near, far = in_memory()
    await near.write(junk)
    await near.stream.close()
    with pytest.raises(NoiseFailure):
        await NoiseTransport(RIGHT).secure_inbound(far)
    ends = in_memory()
    await secured(NoiseTransport(LEFT), NoiseTransport(RIGHT), ends)


async def test_a_silent_dialler_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    _, far = in_memory()
    with pytest.raises(NoiseFailure, match="no handshake within"):
        await NoiseTransport(RIGHT).secure_inbound(far)
    assert autojump_clock.current_time() >= bounds.HANDSHAKE_TIMEOUT


async def test_a_cancelled_write_is_still_sent_whole_and_before_the_next() -> None:
    near, far = await secured(security(True, LEFT), security(True, RIGHT), await over_tcp())
    size = 600_000  # all together, more than the sockets take at once
    for step in range(1, 7):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.write, b"%d" % step * size)
            for _ in range(step):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert near.queued
    heard = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.write, b"end")
        while not heard.endswith(b"end"):
            heard += await far.read(100_000)
    begun = sorted(set(heard[:-3]))
    assert heard == b"".join(b"%c" % digit * size for digit in begun) + b"end"


async def test_a_link_that_cannot_be_cut_ends_when_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck(_: bytes) -> None:
        await trio.sleep_forever()

    ends = in_memory()
    near, far = await secured(security(True, LEFT), security(True, RIGHT), ends)
    monkeypatch.setattr(ends[0], "write", stuck)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.write, b"x")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with pytest.raises(ConnectionClosedError):
        await near.write(b"y")
    await far.close()


async def test_the_end_of_the_link_is_one_kind_of_error() -> None:
    near, far = await secured(security(True, LEFT), security(True, RIGHT), await over_tcp())
    await near.close()
    with pytest.raises(ConnectionClosedError):
        await far.read(1)
    with pytest.raises(ConnectionClosedError):
        await near.read(1)
    with pytest.raises(ConnectionClosedError):
        near.send([b"x"])
    await far.close()
