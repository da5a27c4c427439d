"""Gossip between real hosts: what a rule admits, what an attacker pays, and what outlives a reconnection."""

from __future__ import annotations

import logging

import pytest
import trio
from coincurve import PrivateKey
from libp2p.custom_types import TProtocol
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils import encode_varint_prefixed

from p2p import Admission, Host, bounds, open_host
from p2p.addresses import parse_peer
from wire.errors import RemoteError
from wire.keys import NodeKey

from .test_blobs import NETWORK
from .test_host import ask, raw, two, until

MESHSUB = TProtocol("/meshsub/1.2.0")


def message(author: NodeKey, data: bytes, **changes: bytes) -> rpc_pb2.Message:
    """A gossip message as `author` would sign it, then changed."""
    fields = {"from_id": parse_peer(author.peer_id).to_bytes(), "seqno": trio.current_time().hex()[-8:].encode()}
    plain = rpc_pb2.Message(data=data, topicIDs=[NETWORK.protocol("offers")], **fields)
    plain.signature = PrivateKey(author.secret).sign(b"libp2p-pubsub:" + plain.SerializeToString())
    for field, value in changes.items():
        setattr(plain, field, value)
    return plain


async def say(attacker: Host, peer: str, *messages: rpc_pb2.Message) -> None:
    packet = rpc_pb2.RPC(publish=messages).SerializeToString()
    await raw(attacker, peer, MESHSUB, encode_varint_prefixed(packet))


async def test_gossip_is_admitted_by_its_rule_and_forgery_is_not(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[bytes, str]] = []

    def rule(data: bytes, _: str) -> Admission:
        if data == b"boom":
            raise ZeroDivisionError
        return {b"good": Admission.ACCEPT, b"stale": Admission.IGNORE}.get(data, Admission.REJECT)

    async with two() as (server, attacker):
        await server.join("offers", rule, lambda data, author: heard.append((data, author)))
        author = NodeKey.generate()
        forged = message(author, b"good", from_id=parse_peer(NodeKey.generate().peer_id).to_bytes())
        hashed = message(author, b"good", from_id=b"\x12\x20" + bytes(32), key=b"\x08\x02\x12\x05junk!")
        with caplog.at_level(logging.ERROR, "p2p"):
            for each in (forged, hashed, message(author, b"stale"), message(author, b"boom"), message(author, b"bad")):
                await say(attacker, server.peer_id, each)
            await say(attacker, server.peer_id, message(author, b"good", signature=bytes(70)))
            await say(attacker, server.peer_id, message(author, b"good"))
            await until(lambda: heard)
        assert heard == [(b"good", author.peer_id)]
        assert "ZeroDivisionError" in caplog.text
        await ask(attacker, server.peer_id)  # four offences so far: not yet too many


async def test_who_goes_on_being_rejected_is_disconnected_and_refused() -> None:
    async with two() as (server, attacker):
        await server.join("offers", lambda *_: Admission.REJECT, lambda *_: None)
        await until(lambda: attacker.neighbours("offers"))
        author = NodeKey.generate()
        for number in range(bounds.OFFENCES + 1):
            await say(attacker, server.peer_id, message(author, b"bad %d" % number))
        await until(lambda: not server.connected())
        await until(lambda: not attacker.connected())
        with pytest.raises(RemoteError):
            await ask(attacker, server.peer_id)
        async with open_host(NodeKey.generate(), NETWORK, listen=[]) as honest:
            await honest.connect(server.addresses, timeout=5)
            await ask(honest, server.peer_id)


async def test_malformed_gossip_is_an_offence() -> None:
    async with two() as (server, attacker):
        for _ in range(bounds.OFFENCES + 1):
            await raw(attacker, server.peer_id, MESHSUB, b"\x05\xff\xff\xff\xff\xff")
        await until(lambda: not server.connected())


async def test_a_flood_reaches_the_rule_at_its_rate_only() -> None:
    asked = 0

    def count(_: bytes, __: str) -> Admission:
        nonlocal asked
        asked += 1
        return Admission.IGNORE

    async with two() as (server, attacker):
        await server.join("offers", count, lambda *_: None)
        author = NodeKey.generate()
        for batch in range(4):
            await say(attacker, server.peer_id, *(message(author, b"%d %d" % (batch, n)) for n in range(100)))
        await ask(attacker, server.peer_id)
        await until(lambda: asked)
        assert asked <= bounds.ORIGIN_BURST + 5
        too_many = [rpc_pb2.Message()] * (bounds.RPC_PARTS + 1)
        await say(attacker, server.peer_id, *too_many)
        await ask(attacker, server.peer_id)


async def test_a_quick_reconnection_keeps_gossip_going() -> None:
    heard: list[bytes] = []
    async with two() as (server, client):
        for host in (server, client):
            await host.join("offers", lambda *_: Admission.ACCEPT, lambda data, _: heard.append(data))
        await until(lambda: server.neighbours("offers") and client.neighbours("offers"))
        for number in range(3):
            await client._swarm.close_peer(parse_peer(server.peer_id))
            await client.connect(server.addresses, timeout=5)
            await until(lambda: client.neighbours("offers") and server.neighbours("offers"))
            with trio.fail_after(10):
                while b"%d" % number not in heard:
                    await client.publish("offers", b"%d" % number)
                    await trio.sleep(0.2)
            with trio.fail_after(10):
                while b"back %d" % number not in heard:
                    await server.publish("offers", b"back %d" % number)
                    await trio.sleep(0.2)


async def test_news_of_an_old_connections_end_does_not_part_those_who_are_connected() -> None:
    heard: list[bytes] = []
    async with two() as (server, client):
        for host in (server, client):
            await host.join("offers", lambda *_: Admission.ACCEPT, lambda data, _: heard.append(data))
        await until(lambda: server.neighbours("offers") and client.neighbours("offers"))
        pubsub, peer = server._gossip._pubsub, parse_peer(client.peer_id)
        assert pubsub is not None
        old = pubsub.peers[peer]
        pubsub._handle_dead_peer(peer)
        assert server.neighbours("offers") == 1  # what the client subscribes to came on a stream that is still open
        await until(lambda: pubsub.peers.get(peer, old) is not old)

        class Gone:
            class muxed_conn:
                is_closed = True

        pubsub.peers[peer] = Gone()  # type: ignore[assignment]  # a stream of a connection that has ended
        await pubsub._handle_new_peer(peer)
        assert not isinstance(pubsub.peers[peer], Gone)
        await until(lambda: client.peer_id in map(str, pubsub.peer_topics[NETWORK.protocol("offers")]))
        with trio.fail_after(10):
            while b"still" not in heard:
                await server.publish("offers", b"still")
                await trio.sleep(0.1)


async def test_a_lonely_peer_goes_on_looking_for_neighbours_every_second() -> None:
    async with open_host(NodeKey.generate(), NETWORK, listen=[]) as host:
        await until(lambda: host._gossip._pubsub)
        assert host._gossip._pubsub is not None
        router = host._gossip._pubsub.router
        # What the library does at a heartbeat with a network that it finds in bad health.
        router.network_health_score = 0.0
        if router.adaptive_gossip_enabled:
            router._adapt_gossip_parameters()
        assert router.heartbeat_interval == 1
