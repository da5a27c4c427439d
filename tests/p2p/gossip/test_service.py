"""Gossip between real hosts: what a rule admits, what an attacker pays, and what outlives a reconnection."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import trio
import trio.lowlevel
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair as ed25519
from libp2p.custom_types import TProtocol
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils import encode_varint_prefixed

from p2p import Admission, Host, bounds, open_host
from p2p.addresses import parse_peer
from p2p.gossip.messages import encode
from p2p.gossip.outbox import Urgency
from p2p.gossip.rpc import Rpc
from p2p.gossip.service import PROTOCOLS
from p2p.reach.dialback import NAME as REACH
from wire.errors import RemoteError
from wire.keys import NodeKey

from ..hosts import LOOPBACK, NETWORK, ask, raw, two, until
from .foreign import signed_by

MESHSUB = TProtocol("/meshsub/1.2.0")
TOPIC = NETWORK.protocol("offers")

message = partial(signed_by, topic=TOPIC)


async def say(attacker: Host, peer: str, *messages: rpc_pb2.Message) -> None:
    packet = rpc_pb2.RPC(publish=messages).SerializeToString()
    await raw(attacker, peer, MESHSUB, encode_varint_prefixed(packet))


async def listen(host: Host) -> list[bytes]:
    """Join the topic; what is heard there, as it comes."""
    heard: list[bytes] = []
    await host.join("offers", lambda *_: Admission.ACCEPT, lambda data, _: heard.append(data))
    return heard


async def told(speaker: Host, heard: list[bytes], data: bytes) -> None:
    """Say it until it is heard: what is said while a link is renewed may be lost, what follows may not."""
    with trio.fail_after(10):
        while data not in heard:
            await speaker.publish("offers", data)
            await trio.sleep(0.2)


async def test_a_peer_of_the_release_before_is_known_by_what_it_does_not_speak() -> None:
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as host,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as old,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as new,
    ):
        del old._host.get_mux().handlers[TProtocol(NETWORK.protocol(REACH))]
        for each in (old, new):
            await host.connect(each.addresses)
        await until(lambda: host._host.is_of(NETWORK, parse_peer(new.peer_id)))
        await until(lambda: bool(host._gossip._mesh.older))
        assert host._gossip._mesh.older == {old.peer_id}


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
        counts = server._gossip.counts()
        assert counts == {"forged": 3, "ignored": 1, "broken": 1, "rejected": 1, "accepted": 1}
        await ask(attacker, server.peer_id)  # four offences so far: not yet too many


async def test_who_goes_on_being_rejected_is_disconnected_and_refused() -> None:
    async with two() as (server, attacker):
        await server.join("offers", lambda *_: Admission.REJECT, lambda *_: None)
        await until(lambda: attacker.neighbours("offers"))
        author = NodeKey.generate()
        for number in range(int(bounds.OFFENCES) + 1):
            await say(attacker, server.peer_id, message(author, b"bad %d" % number))
        await until(lambda: not server.connected())
        await until(lambda: not attacker.connected())
        with pytest.raises(RemoteError):
            await ask(attacker, server.peer_id)
        async with open_host(NodeKey.generate(), NETWORK, listen=[]) as honest:
            await honest.connect(server.addresses, timeout=5)
            await ask(honest, server.peer_id)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x05\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff",
        encode_varint_prefixed(rpc_pb2.RPC(publish=[rpc_pb2.Message()] * (bounds.RPC_PARTS + 1)).SerializeToString()),
    ],
    ids=["no protobuf", "no length", "too many parts"],
)
async def test_malformed_gossip_is_an_offence(garbage: bytes) -> None:
    async with two() as (server, attacker):
        for _ in range(int(bounds.OFFENCES) + 1):
            await raw(attacker, server.peer_id, MESHSUB, garbage)
        await until(lambda: not server.connected())
        assert server._gossip.counts()["malformed"] == bounds.OFFENCES + 1


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
        await until(lambda: sum(server._gossip.counts().values()) == 400)
        assert bounds.ORIGIN_BURST <= asked <= bounds.ORIGIN_BURST + 5
        await ask(attacker, server.peer_id)


async def test_a_quick_reconnection_keeps_gossip_going() -> None:
    async with two() as (server, client):
        server_heard, client_heard = await listen(server), await listen(client)
        await until(lambda: server.neighbours("offers") and client.neighbours("offers"))
        for number in range(3):
            await client._swarm.close_peer(parse_peer(server.peer_id))
            await client.connect(server.addresses, timeout=5)
            await until(lambda: client.neighbours("offers") and server.neighbours("offers"))
            await told(client, server_heard, b"%d" % number)
            await told(server, client_heard, b"back %d" % number)


async def test_news_of_an_old_connections_end_does_not_part_those_who_are_connected() -> None:
    async with two() as (server, client):
        heard = await listen(client)
        await listen(server)
        await until(lambda: server.neighbours("offers") and client.neighbours("offers"))
        (connection,) = server._swarm.get_connections(parse_peer(client.peer_id))
        server._gossip._disconnected(connection)
        assert server.neighbours("offers") == 1
        link = server._gossip._links[client.peer_id]
        link.broken = True  # our stream alone: what the client takes part in came on its own
        link.outbox.put(b"\x05waits", Urgency.CONTROL)
        link.wake.set()
        assert server.neighbours("offers") == 1
        await told(server, heard, b"still")
        assert "malformed" not in client._gossip.counts()  # what waited for the old stream went with it
        assert server._gossip._links[client.peer_id] is link


async def test_our_stream_moves_from_a_relayed_connection_to_a_direct_one() -> None:
    async with two() as (server, client):
        heard = await listen(client)
        await listen(server)
        await until(lambda: server.neighbours("offers") and client.neighbours("offers"))
        await told(server, heard, b"before")
        (connection,) = server._swarm.get_connections(parse_peer(client.peer_id))
        link = server._gossip._links[client.peer_id]
        link.relayed = True  # as if a circuit had carried it, and this connection were a new one
        (before,) = client._gossip._links[server.peer_id].inbound
        server._gossip._connected(connection)
        await until(lambda: not link.relayed)
        await told(server, heard, b"after")
        assert before not in client._gossip._links[server.peer_id].inbound


async def test_of_what_a_neighbour_takes_part_in_only_this_networks_topics_take_room() -> None:
    names = [TOPIC, NETWORK.protocol("x" * 200), "/hallmark/other/offers/1", ""]
    async with two() as (server, client):
        await listen(server)
        await until(lambda: client.neighbours("offers"))
        packet = encode(Rpc(subscriptions=[(True, name) for name in names]))
        await raw(client, server.peer_id, MESHSUB, encode_varint_prefixed(packet))
        await until(lambda: server.neighbours("offers"))
        assert [server._gossip._mesh.takers(name) for name in names] == [1, 0, 0, 0]


async def test_who_ends_its_last_stream_takes_part_in_nothing_though_it_stays_connected() -> None:
    async with two() as (server, client):
        await listen(server)
        await until(lambda: client.neighbours("offers"))
        client._gossip._part(server.peer_id)
        stream = await client._host.new_stream(parse_peer(server.peer_id), [MESHSUB])
        await stream.write(encode_varint_prefixed(encode(Rpc(subscriptions=[(True, TOPIC)]))))
        await until(lambda: server.neighbours("offers"))
        await stream.reset()
        await until(lambda: not server.neighbours("offers"))
        assert server._gossip._mesh.members(TOPIC) == []
        await ask(client, server.peer_id)


async def test_a_service_that_failed_runs_again_and_hears_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two() as (server, client):
        heard, back = await listen(server), await listen(client)
        await until(lambda: server.neighbours("offers") and client.neighbours("offers"))
        failures = 0

        def fail(_: float) -> None:
            nonlocal failures
            failures += 1
            monkeypatch.undo()
            raise ZeroDivisionError

        monkeypatch.setattr(server._gossip._mesh, "heartbeat", fail)
        await until(lambda: failures)
        await until(lambda: server.neighbours("offers") and client.neighbours("offers"))
        await told(client, heard, b"there")
        await told(server, back, b"and back")


async def test_a_neighbour_that_reads_nothing_costs_a_bounded_queue_and_has_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "OUTBOX_PATIENCE", 0.3)
    held: list[INetStream] = []

    async def hold(stream: INetStream) -> None:
        held.append(stream)
        await trio.sleep_forever()

    async with two() as (server, deaf), open_host(NodeKey.generate(), NETWORK, listen=[]) as honest:
        await listen(server)
        heard = await listen(honest)
        await honest.connect(server.addresses)
        for protocol in PROTOCOLS:
            deaf._host.set_stream_handler(protocol, hold)
        await deaf._swarm.close_peer(parse_peer(server.peer_id))
        await deaf.connect(server.addresses)
        await raw(
            deaf,
            server.peer_id,
            MESHSUB,
            encode_varint_prefixed(encode(Rpc(subscriptions=[(True, TOPIC)], graft=[TOPIC]))),
        )
        await until(lambda: server.neighbours("offers") == 2)
        link, largest = server._gossip._links[deaf.peer_id], 0
        first = held[0]
        for _ in range(1000):
            await server.publish("offers", bytes(bounds.GOSSIP))
            largest = max(largest, link.outbox.size)
            if link.outbox.dropped > 10:
                break
            await trio.lowlevel.checkpoint()
        assert link.outbox.dropped > 10
        assert largest <= bounds.OUTBOX
        await until(lambda: "deaf" in server._gossip.counts())
        await until(lambda: held[-1] is not first)  # what did not take it was given up
        server._gossip._mesh.heartbeat(trio.current_time())
        assert server._gossip._mesh.members(TOPIC) == [honest.peer_id]
        await told(server, heard, b"others hear all the while")


async def test_of_many_gossip_streams_of_one_neighbour_the_oldest_end() -> None:
    async with two() as (server, attacker):
        await listen(server)
        await until(lambda: server.peer_id in attacker._gossip._links)
        peer = parse_peer(server.peer_id)
        for _ in range(30):
            stream = await attacker._host.new_stream(peer, [MESHSUB])
            await stream.write(encode_varint_prefixed(encode(Rpc(iwant=[b"1"]))))
        await until(lambda: len(server._gossip._links[attacker.peer_id].inbound) == bounds.INBOUND_GOSSIP)
        await ask(attacker, server.peer_id)


async def test_an_author_of_another_kind_is_heard_and_not_passed_on() -> None:
    """Peers of the first release reject it, and would take whoever passed it on for the culprit."""
    async with two() as (server, client), open_host(NodeKey.generate(), NETWORK, listen=[]) as third:
        heard, passed_on = await listen(server), await listen(third)
        await third.connect(server.addresses)
        await until(lambda: server.neighbours("offers") == 1 and third.neighbours("offers") == 1)
        await say(client, server.peer_id, message(ed25519(), b"from afar"))
        await say(client, server.peer_id, message(NodeKey.generate(), b"from here"))
        await until(lambda: passed_on)
        assert heard == [b"from afar", b"from here"]
        assert passed_on == [b"from here"]


async def test_a_place_in_the_mesh_is_taken_at_once_and_what_is_said_then_is_heard() -> None:
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as middle:
        await listen(middle)
        async with (
            open_host(NodeKey.generate(), NETWORK, listen=[]) as first,
            open_host(NodeKey.generate(), NETWORK, listen=[]) as last,
        ):
            await listen(first)
            heard = await listen(last)
            for host in (first, last):
                await host.connect(middle.addresses)
            await until(lambda: len(middle._gossip._mesh.members(TOPIC)) == 2)
            await until(lambda: first.neighbours("offers"))
            await first.publish("offers", b"through the middle")
            with trio.fail_after(5):
                await until(lambda: heard == [b"through the middle"])
            assert first._gossip.counts() == {}  # it was not sent back to who said it
            assert middle._discipline.standing.score(first.peer_id, trio.current_time()) == pytest.approx(1, abs=0.1)
