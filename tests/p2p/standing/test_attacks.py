"""Real hosts on loopback under attack from addresses that play ranges: honest peers are served meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol

from p2p import Host, bounds, open_host
from p2p.addresses import parse_peer
from p2p.yamux.frames import Flag, Header, Kind
from wire.errors import RemoteError
from wire.keys import NodeKey

from ..hosts import LOOPBACK, NETWORK, ask, echo, until
from .strangers import RANGES, address_of, closed, port_of, secured, tcp

SYN = Flag.SYN


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Host, Host]]:
    """A server of `echo` that tells 127.0.5.x from 127.0.6.x, and an honest client from nowhere in particular."""
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, ranges=RANGES) as server,
        open_host(NodeKey.generate(), NETWORK, listen=[]) as client,
    ):
        server.handle("echo", echo)
        await client.connect(address_of(server), timeout=5)
        yield server, client


async def ask_soon(client: Host, server: Host) -> None:
    """An honest question is answered within two seconds, over the connection that stands and over a new one."""
    with trio.fail_after(2):
        await ask(client, server.peer_id)
    async with open_host(NodeKey.generate(), NETWORK, listen=[]) as newcomer:
        with trio.fail_after(2):
            await newcomer.connect(address_of(server))
            await ask(newcomer, server.peer_id)


async def test_a_thousand_connections_of_one_range_hold_a_handful_and_honest_peers_are_served() -> None:
    async with served() as (server, client), AsyncExitStack() as stack:
        for n in range(1000):
            stream = await stack.enter_async_context(await tcp(port_of(server), f"127.0.5.{1 + n % 250}"))
            if n % 50 == 0:
                assert len(server._discipline.door._callers) <= bounds.HALF_OPEN_PER_RANGE
        await ask_soon(client, server)
        assert server.refusals()["arrival rate"] >= 1000 - 2 * bounds.ARRIVAL_BURST
        assert await closed(stream)  # the last of them was refused before any handshake


async def test_slow_handshakes_give_way_to_newer_ones_and_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HANDSHAKE_TIMEOUT", 2.0)
    monkeypatch.setattr(bounds, "HALF_OPEN", 8)
    async with served() as (server, client), AsyncExitStack() as stack:
        streams = []
        for n in range(12):  # nothing said, half a negotiation, half of noise
            stream = await stack.enter_async_context(await tcp(port_of(server), f"127.0.{5 + n}.1"))
            said = b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x20" + bytes(9)
            with suppress(trio.BrokenResourceError):
                await stream.send_all(said[: n * 7])
            streams.append(stream)
        began = trio.current_time()
        assert await closed(streams[0], 5)
        assert trio.current_time() - began < 1  # long before its time was over
        await ask_soon(client, server)
        assert server.refusals()["half-open"] >= 4
        for stream in streams:
            assert await closed(stream, 3)
        await until(lambda: not server._discipline.door._callers)


async def test_sybils_of_one_range_have_its_share_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CONNECTIONS_PER_RANGE", 3)
    async with served() as (server, client), AsyncExitStack() as stack:
        for n in range(3):
            await stack.enter_async_context(secured(server, f"127.0.5.{n + 1}"))
        await until(lambda: len(server.connected()) == 4)
        assert await closed(await stack.enter_async_context(await tcp(port_of(server), "127.0.5.9")))
        assert server.refusals()["range full"] == 1
        await stack.enter_async_context(secured(server, "127.0.6.1"))
        await until(lambda: len(server.connected()) == 5)
        await ask_soon(client, server)


async def test_a_full_house_sends_away_the_crowd_and_keeps_who_was_useful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CONNECTIONS_IN", 5)
    async with served() as (server, client), AsyncExitStack() as stack:
        await ask(client, server.peer_id)
        for n in range(4):
            await stack.enter_async_context(secured(server, f"127.0.5.{n + 1}"))
        await until(lambda: len(server.connected()) == 5)
        await ask_soon(client, server)  # the newcomer takes the place of one of them
        assert server.refusals()["evicted"] == 1
        assert client.peer_id in {status.peer_id for status in server.connected()}


async def test_several_banned_keys_of_a_range_ban_the_range_before_noise_and_no_other() -> None:
    async with served() as (server, client), AsyncExitStack() as stack:
        for n in range(bounds.RANGE_BANNED):
            key = NodeKey.generate()
            await stack.enter_async_context(secured(server, f"127.0.5.{n + 1}", key))
            await until(lambda: server._discipline.guests.of(key.peer_id))  # noqa: B023 — awaited here
            server.cut_off(key.peer_id)
        assert await closed(await stack.enter_async_context(await tcp(port_of(server), "127.0.5.77")))
        assert server.refusals()["range bans"] == server.refusals()["range banned"] == 1
        await stack.enter_async_context(secured(server, "127.0.6.1"))
        await ask_soon(client, server)


async def test_a_ban_survives_a_restart_and_ends_with_forgiveness(tmp_path: Path) -> None:
    path, bad = tmp_path / "standing", NodeKey.generate()
    async with open_host(bad, NETWORK, listen=[]) as attacker:
        for start in range(2):
            async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, standing=path) as server:
                server.handle("echo", echo)
                if start == 0:
                    await attacker.connect(address_of(server))
                    await ask(attacker, server.peer_id)
                    server.cut_off(bad.peer_id)
                    await until(lambda: not attacker.connected())
                (held,) = server.standing()
                assert (held.peer_id, held.rule, held.times) == (bad.peer_id, "lied", 1)
                assert held.refused_s > bounds.REFUSAL - 60
                with suppress(RemoteError):  # the handshake may be over before it is sent away
                    await attacker.connect(address_of(server), timeout=3)
                await until(lambda: not server.connected())
                with pytest.raises(RemoteError):
                    await ask(attacker, server.peer_id)
                if start == 1:
                    assert server.forgive(bad.peer_id)
                    await attacker.connect(address_of(server))
                    await ask(attacker, server.peer_id)


async def test_streams_that_never_say_what_they_are_for_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "NEGOTIATION_TIMEOUT", 1.0)
    async with served() as (server, client):
        before = len(server._host.slots)
        async with secured(server, "127.0.5.1") as session:
            for number in range(1, 61, 2):
                await session.write(Header(Kind.WINDOW_UPDATE, SYN, number, 0).encode())
            await until(lambda: len(server._host.slots) >= before + 30)
            await ask_soon(client, server)
            await until(lambda: len(server._host.slots) < before + 30)


async def test_a_flood_of_streams_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "STREAM_RATE", 50.0)
    monkeypatch.setattr(bounds, "STREAM_BURST", 20.0)
    begun: list[float] = []

    async def note(_: INetStream) -> None:
        begun.append(trio.current_time())

    lines = b"".join(bytes([len(line) + 1]) + line + b"\n" for line in (b"/multistream/1.0.0", b"/test/note"))
    async with served() as (server, client), secured(server, "127.0.5.1") as session:
        server._host.set_stream_handler(TProtocol("/test/note"), note)
        began = trio.current_time()
        for number in range(1, 121, 2):
            await session.write(Header(Kind.DATA, SYN, number, len(lines)).encode() + lines)
        await ask_soon(client, server)
        await until(lambda: len(begun) == 60)
    late = [at - began for at in begun]
    assert all(at >= (n + 1 - 20) / 50 - 0.05 for n, at in enumerate(late))
    assert late[-1] >= 0.7


async def test_peers_with_many_streams_give_way_to_those_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "STREAMS", 40)
    async with served() as (server, client), AsyncExitStack() as stack:
        for n in range(2):
            session = await stack.enter_async_context(secured(server, f"127.0.5.{n + 1}"))
            for number in range(1, 61, 2):
                await session.write(Header(Kind.WINDOW_UPDATE, SYN, number, 0).encode())
        await until(lambda: len(server._host.slots) >= 40)

        def held() -> int:
            connections = server._swarm.get_connections()
            mine = [each.muxed_conn for each in connections if str(each.muxed_conn.peer_id) != client.peer_id]
            return sum(number % 2 for each in mine for number in each._machine.flows)  # type: ignore[attr-defined]

        await ask_soon(client, server)
        with trio.fail_after(5):  # far sooner than they would end by themselves
            await until(lambda: server._host.slots.refused >= 20 and held() <= 40)


async def test_a_flood_of_empty_frames_is_a_ban_and_is_felt_by_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "OFFENCES", 1)  # else it takes a dozen seconds of flood
    key, pings = NodeKey.generate(), Header(Kind.PING, SYN, 0, 1).encode() * 5000
    async with served() as (server, client), trio.open_nursery() as nursery, secured(server, "127.0.5.1", key) as flood:

        async def send() -> None:
            with suppress(Exception):  # it is cut off in the end
                while True:
                    await flood.write(pings)

        async def read() -> None:
            with suppress(Exception):
                while True:
                    await flood.read()

        nursery.start_soon(send)
        nursery.start_soon(read)
        for _ in range(5):
            await ask_soon(client, server)
        with trio.fail_after(30):
            while not server._discipline.standing.is_refused(key.peer_id, trio.current_time()):  # noqa: ASYNC110 — real time
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()


async def test_a_peer_over_ipv6_has_an_address_too() -> None:
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=["/ip6/::1/tcp/0"]) as server,
        open_host(NodeKey.generate(), NETWORK, listen=[]) as client,
    ):
        await client.connect([f"/ip6/::1/tcp/{port_of(server)}/p2p/{server.peer_id}"])
        await until(server.connected)
        assert server.connected()[0].address.startswith("/ip6/::1/tcp/")


@pytest.mark.parametrize("ends", ["silent", "unread"])
async def test_who_says_nothing_or_reads_nothing_costs_a_slot_at_most(ends: str) -> None:
    async with served() as (server, client), secured(server, "127.0.5.1") as session:
        if ends == "unread":  # it asks, and takes no answer
            with suppress(Exception), trio.move_on_after(1):
                while True:
                    await session.write(Header(Kind.PING, SYN, 0, 1).encode() * 100)
        await ask_soon(client, server)
        assert server._discipline.ledger.total <= bounds.HELD


async def test_a_line_without_end_ends_a_connection_at_once_and_no_negotiation_fills_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as (server, client):
        stream = await tcp(port_of(server), "127.0.5.1")
        await stream.send_all(b"\x80\x80\x80\x80\x40" + bytes(4096))  # 16 GiB, it says
        assert await closed(stream, within=2)
        for said in (b"\x02\xff\n", b"\x80\x80\x80\x80\x40", b"\x03ls\n" * bounds.MULTISTREAM_LINES):
            opened = await client._swarm.new_stream(parse_peer(server.peer_id))
            await opened.write(b"\x13/multistream/1.0.0\n" + said)
            with (
                trio.fail_after(2),
                suppress(Exception),
            ):  # a reset, in one of the muxer's ways; silence is TooSlowError
                while await opened.read(65536):
                    pass
        await ask_soon(client, server)
        assert "Traceback" not in caplog.text
