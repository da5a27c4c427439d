"""The DHT among real hosts: who serves, what `provide` answers, how long a word holds, and liars who name addresses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.utils.varint import encode_varint_prefixed

from p2p import Host, Reach, Reachability, bounds, open_host
from p2p.addresses import Multiaddr, parse_peer
from p2p.dht.discovery import LEGACY, id_of
from tests.p2p.blobs.made import BLOB
from tests.p2p.dht.test_values import knows, network
from tests.p2p.hosts import LOOPBACK, NETWORK, until
from tests.p2p.reach.networks import peer, where
from wire.keys import NodeKey

OURS = id_of(NETWORK)


def serves(host: Host, to: Host) -> bool:
    """Whether `to` was told that `host` serves the DHT."""
    return bool({OURS, LEGACY} & to._host.speaks(parse_peer(host.peer_id)))


@contextmanager
def found_to_be(state: Reach, host: Host, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the host find that."""
    with patch.context() as inner:
        inner.setattr(host._ways.reach, "found", lambda: Reachability(state))
        host._moved()
        yield
    host._moved()


async def test_a_peer_that_cannot_be_reached_is_a_client_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    async with network(3) as (first, second, private):
        await until(lambda: serves(private, first))
        with found_to_be(Reach.PRIVATE, private, monkeypatch):
            await until(lambda: not serves(private, first))
            await until(lambda: parse_peer(private.peer_id) not in first.discovery.table)
            assert knows(first) == 1
            assert await private.provide(BLOB)  # it is a client still
            assert await second.find_providers(BLOB) == [private.peer_id]
        await until(lambda: serves(private, first) and knows(first) == 2)


async def test_who_has_no_address_to_tell_provides_nothing_yet_and_does_when_it_has() -> None:
    """A peer of the world whose address nobody has confirmed: others would not take its word."""
    async with peer("127.1.0.1") as server, peer("127.2.0.1", announce=[]) as provider:
        await provider.connect([where(server)])
        await until(lambda: knows(provider) == 1)
        assert not await provider.provide(BLOB)
        provider._host.told = lambda *_: ["/ip4/127.2.0.1/tcp/4001"]  # type: ignore[method-assign]
        provider.discovery.moved()
        await until(lambda: not any(due.failures for due in provider.discovery._provided.values()))
        assert await server.find_providers(BLOB) == [provider.peer_id]


async def test_a_newcomer_finds_what_was_provided_before_it_came_at_once() -> None:
    async with network(6) as hosts:
        assert await hosts[1].provide(BLOB)
        async with open_host(NodeKey.generate(), NETWORK, listen=[]) as newcomer:
            await newcomer.connect(hosts[-1].addresses, timeout=5)
            assert await newcomer.find_providers(BLOB) == [hosts[1].peer_id]


async def test_a_word_is_said_again_before_it_lapses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PROVIDE_EVERY", 0.2)
    async with network(2) as (provider, other):
        assert await provider.provide(BLOB)
        monkeypatch.setattr(bounds, "PROVIDER_LIFE", 0.0)
        assert other.discovery._providers.of(b"\x1e\x20" + BLOB, b"", trio.current_time()) == []
        monkeypatch.undo()
        await until(lambda: len(other.discovery._providers))
        provider.discovery.withdraw(BLOB)
        assert await provider.find_providers(BLOB) == []


async def test_what_nobody_took_is_provided_when_somebody_comes() -> None:
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as provider:
        assert not await provider.provide(BLOB)
        async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as other:
            await other.connect(provider.addresses, timeout=5)
            await until(lambda: len(other.discovery._providers))
            assert await other.find_providers(BLOB) == [provider.peer_id]


async def test_those_who_are_gone_leave_the_table_and_cost_little() -> None:
    async with network(3) as (asker, holder, _):
        assert await holder.provide(BLOB)
        async with network(4) as dying:
            for host in dying:
                await host.connect(asker.addresses, timeout=5)
                await until(lambda: parse_peer(asker.peer_id) in host.discovery.table)  # noqa: B023 — awaited here
                assert await host.provide(BLOB)
            await until(lambda: knows(asker) == 6)
        with trio.fail_after(5):
            found = await asker.find_providers(BLOB)
        assert found[0] == holder.peer_id  # who is connected goes before who may be gone
        assert len(found) == 5
        await until(lambda: knows(asker) == 2)


async def test_a_stranger_sends_nobody_into_his_own_lan_or_to_a_name() -> None:
    victim = NodeKey.generate().peer_id
    named = Message.Peer(
        id=parse_peer(victim).to_bytes(),
        addrs=[
            Multiaddr(each).to_bytes()
            for each in (
                "/ip4/192.168.1.1/tcp/80",
                "/ip4/10.0.0.1/tcp/22",
                "/dns4/router.lan/tcp/80",
                "/ip4/127.9.0.1/tcp/9",
            )
        ],
    )
    answer = Message(type=Message.GET_PROVIDERS, key=BLOB, providerPeers=[named], closerPeers=[named])

    async def lies(stream: INetStream) -> None:
        await stream.write(encode_varint_prefixed(answer.SerializeToString()))
        await trio.sleep_forever()

    async with peer("127.1.0.1") as asker, peer("127.2.0.1") as liar:
        await until(lambda: OURS in liar._host.get_mux().get_protocols())
        liar._host.set_stream_handler(OURS, lies)
        await asker.connect([where(liar)])
        assert await asker.find_providers(BLOB) == [victim]
        assert list(map(str, asker._whereabouts.of(victim))) == ["/ip4/127.9.0.1/tcp/9"]  # networks of the world here
        assert asker._whereabouts.vouched(victim) == []  # and that is told to nobody


async def test_an_id_without_end_is_left_out() -> None:
    """As text, one of 60 KB takes seconds, in which nothing else would happen."""
    named = Message.Peer(id=b"\xff" * 60_000, addrs=[Multiaddr("/ip4/127.9.0.1/tcp/9").to_bytes()])
    answer = Message(type=Message.GET_PROVIDERS, key=BLOB, providerPeers=[named], closerPeers=[named])

    async def lies(stream: INetStream) -> None:
        await stream.write(encode_varint_prefixed(answer.SerializeToString()))
        await trio.sleep_forever()

    async with peer("127.1.0.1") as asker, peer("127.2.0.1") as liar:
        await until(lambda: OURS in liar._host.get_mux().get_protocols())
        liar._host.set_stream_handler(OURS, lies)
        await asker.connect([where(liar)])
        began = trio.current_time()
        assert await asker.find_providers(BLOB) == []
        assert trio.current_time() - began < 2
