"""What a peer says of itself is bounded before it costs anything, and never pushes out what is ours."""

from __future__ import annotations

import time

import trio
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host import basic_host
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push import identify_push
from libp2p.peer.id import ID

from p2p import Host, bounds
from p2p.addresses import Multiaddr, parse_peer
from p2p.identity import BoundedPeerStore

from .hosts import ask, two

PUSH, IDENTIFY = TProtocol("/ipfs/id/push/1.0.0"), TProtocol("/ipfs/id/1.0.0")
OWN = create_new_key_pair(bytes(31) + b"\x05")


def some_peer(number: int) -> ID:
    """An id that nobody has a key for."""
    return ID(b"\x00\x25\x08\x02\x12\x21\x02" + number.to_bytes(32, "big"))


def boast(addresses: int, protocols: int) -> bytes:
    """An identify message with much in it."""
    said = Identify(protocols=[f"/protocol/{n}" for n in range(protocols)])
    for n in range(addresses):
        said.listen_addrs.append(Multiaddr(f"/ip4/203.0.{n // 250}.{n % 250}/tcp/{n % 60000 + 1}").to_bytes())
    return said.SerializeToString()


def prefixed(data: bytes) -> bytes:
    """With its length as a varint."""
    size, prefix = len(data), bytearray()
    while size > 127:
        prefix.append(size & 127 | 128)
        size >>= 7
    return bytes([*prefix, size]) + data


def test_a_thousand_strangers_never_push_out_our_own_key() -> None:
    own = ID.from_pubkey(OWN.public_key)
    store = BoundedPeerStore(own)
    store.add_key_pair(own, OWN)
    for n in range(bounds.KNOWN_PEERS + 500):
        store.add_addrs(some_peer(n), [Multiaddr("/ip4/203.0.113.1/tcp/1")], 100)
    assert store.privkey(own) == OWN.private_key
    assert len(store.peer_ids()) == bounds.KNOWN_PEERS + 1
    assert store.has_peer(some_peer(bounds.KNOWN_PEERS + 499))
    assert not store.has_peer(some_peer(0))


def test_a_store_keeps_so_much_of_each_peer_however_it_is_told() -> None:
    store, peer = BoundedPeerStore(ID.from_pubkey(OWN.public_key)), some_peer(1)
    for n in range(5):
        store.add_addrs(peer, [Multiaddr(f"/ip4/203.0.{n}.{m}/tcp/1") for m in range(100)], 100)
        store.add_protocols(peer, [f"/protocol/{n}/{m}" for m in range(1000)])
    assert len(store.addrs(peer)) == bounds.ADDRESSES
    assert len(store.get_protocols(peer)) == bounds.PROTOCOLS


async def test_a_message_is_cut_down_before_it_is_looked_at() -> None:
    store, peer = BoundedPeerStore(ID.from_pubkey(OWN.public_key)), some_peer(1)
    data = boast(50_000, 50_000)
    for module in (basic_host, identify_push):
        said, began = Identify.FromString(data), time.thread_time()
        await module.update_peerstore_from_identify(store, peer, said)  # type: ignore[attr-defined]
        assert time.thread_time() - began < 0.25  # the library's own takes a second
        assert len(said.listen_addrs) <= bounds.ADDRESSES
        assert len(said.protocols) <= bounds.PROTOCOLS
    assert len(store.addrs(peer)) == bounds.ADDRESSES
    assert len(store.get_protocols(peer)) == bounds.PROTOCOLS


async def push(attacker: Host, peer: str, data: bytes) -> None:
    """What the peer makes of it is its own affair; only that it has ended the stream is waited for."""
    try:
        stream = await attacker._host.new_stream(parse_peer(peer), [PUSH])
        with trio.move_on_after(0.5):  # what is too long is not read to its end
            await stream.write(data)
        with trio.fail_after(5):
            while await stream.read(1000):
                pass
    except trio.TooSlowError:
        raise
    except Exception:  # the stream was reset or ended, in one of the library's ways
        return


async def test_pushes_of_a_megabyte_and_pushes_without_end_cost_nothing() -> None:
    async with two() as (server, attacker):
        me = parse_peer(attacker.peer_id)
        await push(attacker, server.peer_id, prefixed(boast(40_000, 40_000)))
        assert len(server._host.speaks(me)) <= bounds.PROTOCOLS
        for n in range(3 * int(bounds.PUSH_BURST)):
            await push(attacker, server.peer_id, prefixed(Identify(protocols=[f"/new/{n}"]).SerializeToString()))
        assert not {f"/new/{n}" for n in range(20, 30)} & server._host.speaks(me)
        assert server._host.speaks(me) & {f"/new/{n}" for n in range(10)}
        await ask(attacker, server.peer_id)
