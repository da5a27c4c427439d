"""Real hosts on loopback, with an attacker among them: what it sends costs the attacker, and nobody else."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol

from p2p import bounds, open_host
from p2p.addresses import parse_peer
from p2p.streams import Channel
from wire.blob import AskOutline
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey

from .hosts import ASK, LOOPBACK, NETWORK, ask, echo, raw, two, until


async def test_exchanges_share_one_pooled_stream() -> None:
    async with two() as (server, client):
        for _ in range(5):
            await ask(client, server.peer_id)
        assert len(client._exchanges.pool) == 1
        assert [s.peer_id for s in client.connected()] == [server.peer_id]
        assert client.connected()[0].outgoing
        assert not server.connected()[0].outgoing
        assert client.addresses == ()
        assert server.addresses[0].endswith(server.peer_id)


async def test_a_pooled_stream_that_died_is_replaced() -> None:
    async with two() as (server, client):
        await ask(client, server.peer_id)
        for connection in server._swarm.get_connections():
            for stream in connection.get_streams():
                if "echo" in str(stream.get_protocol()):
                    await stream.reset()
        await ask(client, server.peer_id)


async def test_what_may_not_come_twice_is_not_said_again_when_the_link_breaks_at_work() -> None:
    """What may is: the peer cannot be asked whether it had heard it."""
    heard: list[str] = []

    async with two() as (server, client):

        async def work(channel: Channel) -> None:
            await channel.receive(AskOutline, timeout=5)
            heard.append(channel.peer)
            if len(heard) == 2:
                await server._swarm.close_peer(parse_peer(client.peer_id))
                return
            await channel.send(ASK)

        server.handle("work", work)
        for once, times in ((False, 3), (True, 2)):
            heard.clear()
            await ask(client, server.peer_id, "work")  # its stream is kept
            with pytest.raises(RemoteError, match="link_lost") if once else nullcontext():
                async with client.exchange(server.peer_id, "work", once=once) as channel:
                    await channel.send(ASK)
                    await channel.receive(AskOutline, timeout=5)
            assert len(heard) == times


async def test_a_lost_connection_is_dialled_again() -> None:
    async with two() as (server, client):
        await ask(client, server.peer_id)
        (lost,) = client._swarm.get_connections()
        await server._swarm.close_peer(parse_peer(client.peer_id))
        await until(lambda: lost.is_closed)  # the DHT may have dialled anew by then
        await ask(client, server.peer_id)


async def test_an_error_of_the_handler_comes_over_and_keeps_the_stream() -> None:
    async def refuse(channel: Channel) -> None:
        await channel.receive(AskOutline, timeout=5)
        raise RemoteError(ErrorCode.REFUSED, "price too low", retry=False)

    async with two() as (server, client):
        server.handle("refuse", refuse)
        for _ in range(2):
            with pytest.raises(RemoteError, match="price too low") as caught:
                await ask(client, server.peer_id, "refuse")
            assert not caught.value.retry
            assert len(client._exchanges.pool) == 1


async def test_a_protocol_that_is_not_served_is_unsupported() -> None:
    async with two() as (server, client):
        with pytest.raises(RemoteError) as caught:
            await ask(client, server.peer_id, "nothing")
        assert caught.value.code is ErrorCode.UNSUPPORTED


async def test_cancelled_exchanges_leave_no_stream_and_spare_the_connection() -> None:
    async def slow(channel: Channel) -> None:
        await channel.receive(AskOutline, timeout=5)
        await trio.sleep(0.02)
        await channel.send(ASK)

    async with two() as (server, client):
        server.handle("slow", slow)
        await ask(client, server.peer_id)
        before = client._swarm.get_connections()
        for step in range(80):  # cut off at the first, the second, … the eightieth turn of the loop
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, client, server.peer_id, "slow")
                for _ in range(step):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
        await ask(client, server.peer_id)
        assert client._swarm.get_connections() == before
        # Two of gossip's and the one in the pool are open; of the eighty nothing is left on either side.
        for host in (client, server):
            connection = host._swarm.get_connections()[0].muxed_conn
            with trio.fail_after(5):  # sooner than the other side's patience with a stream that negotiates nothing
                await until(lambda: connection.streams <= 3)  # noqa: B023


async def test_connecting_to_nobody_names_each_address_and_its_cause() -> None:
    nobody, other = NodeKey.generate().peer_id, NodeKey.generate()
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=[]) as client,
        open_host(other, NETWORK, listen=LOOPBACK) as server,
    ):
        port = server.addresses[0].split("/")[4]
        targets = [f"/ip4/127.0.0.1/tcp/1/p2p/{nobody}", f"/ip4/127.0.0.1/tcp/{port}/p2p/{nobody}"]
        for _ in range(2):  # an earlier failure is no reason not to try
            with pytest.raises(RemoteError) as caught:
                await client.connect(targets, timeout=5)
            assert caught.value.code is ErrorCode.UNREACHABLE
            assert "/ip4/127.0.0.1/tcp/1: " in caught.value.message
            assert "/ip4/127.0.0.1/tcp/1: connection refused" in caught.value.message
            assert "another peer answers there" in caught.value.message
        with pytest.raises(RemoteError, match="no address of it is known"):
            await ask(client, nobody)
        # one good address among bad ones is enough, and ten wishes are one connection
        good = [f"/ip4/127.0.0.1/tcp/1/p2p/{other.peer_id}", server.addresses[0]]
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(client.connect, good)
        assert len(client._swarm.get_connections()) == 1


async def test_a_peer_that_was_learnt_is_reached_by_its_id() -> None:
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as server,
        open_host(NodeKey.generate(), NETWORK, listen=[]) as client,
    ):
        server.handle("echo", echo)
        client.learn(server.peer_id, server.addresses)
        await ask(client, server.peer_id)
        with pytest.raises(RemoteError, match="itself"):
            await ask(client, client.peer_id)


async def test_who_is_refused_is_told_that_somebody_answers_and_hangs_up() -> None:
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as server,
        open_host(NodeKey.generate(), NETWORK, listen=[]) as client,
    ):
        server.ban(client.peer_id, 60)

        async def knock() -> None:
            for _ in range(50):  # its end may come a moment after the connection
                await client.connect(server.addresses)
                await until(lambda: not client.connected())

        with pytest.raises(RemoteError) as caught:
            await knock()
        place = server.addresses[0].rsplit("/p2p/", 1)[0]
        assert f"({place}: it answers, and ends the connection at once)" in caught.value.message


async def test_bootstraps_are_joined_saved_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as server:
        bad = f"/ip4/127.0.0.1/tcp/1/p2p/{NodeKey.generate().peer_id}"
        boots = [bad, server.addresses[0], "nonsense"]
        async with open_host(NodeKey.generate(), NETWORK, listen=[], bootstraps=boots, peerbook=path) as client:
            await until(lambda: len(client.bootstrap_report()) == 3)
            report = {a.address: a.failure for a in client.bootstrap_report()}
            assert report[server.addresses[0]] is None
            assert "refused" in str(report[bad]).lower()
            assert "cannot be used" in str(report["nonsense"])
            await until(lambda: client._whereabouts.book.latest())
        assert path.stat().st_mode & 0o777 == 0o600
        async with open_host(NodeKey.generate(), NETWORK, listen=[], peerbook=path) as again:
            await until(again.connected)
            assert again.bootstrap_report()[0].source == "peer book" if again.bootstrap_report() else True


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    with pytest.raises(RemoteError, match="as it is"):
        async with open_host(NodeKey.generate(), NETWORK, listen=[]):
            raise RemoteError(ErrorCode.REFUSED, "as it is")
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as host:
        taken = host.addresses[0].rsplit("/p2p/", 1)[0]
        with pytest.raises(OSError, match="choose another port"):
            async with open_host(NodeKey.generate(), NETWORK, listen=[taken]):
                pass


@pytest.mark.parametrize("protocol", ["/meshsub/1.2.0", "/ipfs/kad/1.0.0", "/ipfs/id/1.0.0", "/hallmark/test/echo/1"])
async def test_garbage_on_any_protocol_ends_no_host(protocol: str) -> None:
    async with two() as (server, attacker):
        for data in (b"\x05hello", b"\xff" * 64, b"\x80" * 20, b"\x04\x0a\x02\x0a\x00", b""):
            await raw(attacker, server.peer_id, TProtocol(protocol), data)
            await ask(attacker, server.peer_id)


async def test_garbage_instead_of_a_handshake_or_a_negotiation_ends_no_host() -> None:
    async with two() as (server, client):
        port = int(server.addresses[0].split("/")[4])
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x13/multistream/1.0.0\n\x07/noise\n" + b"\xff" * 200,
            b"\xff" * 1000,
        ):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(data)
            await stream.aclose()
        for data in (b"\xff" * 40, b"\x13/multistream/1.0.0\n\x02\xff\n", b"\x01\n"):
            stream = await client._swarm.new_stream(parse_peer(server.peer_id))
            await stream.write(data)
        await ask(client, server.peer_id)


async def test_too_many_streams_are_reset_and_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "STREAMS_PER_PEER", 24)
    monkeypatch.setattr(bounds, "STREAMS_PER_PROTOCOL", 8)
    async with two() as (server, attacker):
        refused = 0
        for _ in range(40):
            try:
                await raw(attacker, server.peer_id, TProtocol("/hallmark/test/echo/1"), b"\x01")
            except Exception:  # the library's many ways to say that the stream was reset
                refused += 1
        assert refused
        assert len(server._host.slots) <= 24
        async with open_host(NodeKey.generate(), NETWORK, listen=[]) as honest:
            await honest.connect(server.addresses, timeout=5)
            await ask(honest, server.peer_id)
            assert len(server.connected()) == 2


async def test_a_stream_on_which_more_came_is_not_used_again() -> None:
    async def chatty(channel: Channel) -> None:
        request = await channel.receive(AskOutline, timeout=5)
        await channel.send(request)
        await trio.sleep(0.05)
        await channel.send(AskOutline(blob=b"unasked, an answer to nothing ..."[:32]))

    async with two() as (server, client):
        server.handle("chatty", chatty)
        for _ in range(3):
            await ask(client, server.peer_id, "chatty")
            await trio.sleep(0.1)


async def test_more_connections_come_and_go_than_stand_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CONNECTIONS", 12)
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as server:
        server.handle("echo", echo)
        for _ in range(14):  # the library keeps a slot for ever for each, and refuses the thirteenth
            async with open_host(NodeKey.generate(), NETWORK, listen=[]) as client:
                await client.connect(server.addresses, timeout=5)
                await ask(client, server.peer_id)
            await until(lambda: not server.connected())


async def test_a_peer_that_leaves_in_the_middle_of_an_answer_is_not_worth_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    left = trio.Event()

    async def answer(stream: INetStream) -> None:
        await stream.read(1)
        await stream.muxed_stream.reset()
        left.set()
        await stream.write(b"too late")

    async with two() as (server, client):
        server._host.set_stream_handler(TProtocol("/answer"), answer)
        await raw(client, server.peer_id, TProtocol("/answer"), b"?")
        await left.wait()
        await ask(client, server.peer_id)
    assert "failed" not in caplog.text
