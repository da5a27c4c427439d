"""Value records among real hosts on loopback, and DHT peers that lie, garble, flood or say nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.kad_dht.pb.kademlia_pb2 import Message, Record
from libp2p.network.stream.exceptions import StreamReset
from libp2p.utils.varint import encode_varint_prefixed

from p2p import Host, bounds, open_host
from p2p.addresses import parse_peer
from p2p.dht.discovery import LEGACY, id_of
from p2p.dht.records import name_of
from wire.keys import NodeKey

from ..hosts import LOOPBACK, NETWORK, raw, until
from .test_records import KEY, OTHER, judge, record


def knows(host: Host) -> int:
    """How many peers are in the host's routing table."""
    return len(host.discovery.table)


def held(host: Host, key: bytes = KEY) -> bytes | None:
    return host.discovery.records.newest(name_of(key), trio.current_time())


def hold(host: Host, value: bytes, key: bytes = KEY) -> None:
    """Have the host hold a record."""
    assert host.discovery.records.offer(name_of(key), value, "", trio.current_time())


@asynccontextmanager
async def network(size: int) -> AsyncIterator[list[Host]]:
    """So many hosts; each has connected to the first, and the DHT has noticed."""
    async with AsyncExitStack() as stack:
        hosts: list[Host] = []
        for _ in range(size):
            opening = open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, judge=judge)
            hosts.append(await stack.enter_async_context(opening))
            if len(hosts) > 1:
                await hosts[-1].connect(hosts[0].addresses, timeout=5)
        await until(lambda: knows(hosts[0]) >= size - 1 and all(map(knows, hosts)))
        yield hosts


async def test_a_record_outlives_the_peer_that_put_it() -> None:
    async with network(5) as hosts:
        async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, judge=judge) as owner:
            await owner.connect(hosts[0].addresses, timeout=5)
            await until(lambda: knows(owner) and knows(hosts[0]) >= 5)
            assert await owner.put_record(KEY, record(1))
        assert await hosts[-1].get_record(KEY) == record(1)
        async with open_host(NodeKey.generate(), NETWORK, listen=[], judge=judge) as client:  # one that only dials
            await client.connect(hosts[0].addresses, timeout=5)
            await until(lambda: knows(client))
            assert await client.get_record(KEY) == record(1)
        assert await hosts[1].get_record(OTHER) is None


async def test_the_newer_wins_and_an_older_is_not_put() -> None:
    async with network(5) as hosts:
        assert await hosts[1].put_record(KEY, record(1))
        assert await hosts[2].put_record(KEY, record(2))
        assert [await host.get_record(KEY) for host in hosts] == [record(2)] * 5
        assert not await hosts[3].put_record(KEY, record(1))
        assert {held(host) for host in hosts} == {record(2)}


async def test_of_two_records_in_the_network_the_newer_is_found_and_kept() -> None:
    async with network(8) as hosts:
        for host in hosts[:7]:  # most of the network, who asks among them, has the old one
            hold(host, record(1))
        hold(hosts[7], record(2))
        assert await hosts[1].get_record(KEY) == record(2)
        assert held(hosts[1]) == record(2)
        # one that does not know there is a newer one learns it before it troubles anybody with its own
        assert not await hosts[2].put_record(KEY, record(1, body=b"?"))
        assert name_of(KEY) not in hosts[2].discovery._owned


async def test_what_nobody_took_is_put_when_somebody_comes() -> None:
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, judge=judge) as owner:
        assert not await owner.put_record(KEY, record(1))
        assert await owner.get_record(KEY) == record(1)
        async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, judge=judge) as other:
            await other.connect(owner.addresses, timeout=5)
            await until(lambda: held(other) == record(1))


async def test_a_record_is_put_again_by_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RECORD_EVERY", 0.0)
    async with network(2) as (owner, other):
        assert await owner.put_record(KEY, record(1))
        other.discovery.records.remove(name_of(KEY))
        owner.discovery.heard_of(other.peer_id)  # a round begins when anything happens
        await until(lambda: held(other) == record(1))


async def test_records_that_nobody_would_take_are_an_error_of_the_callers() -> None:
    async with network(2) as hosts:
        for key, value in ((OTHER, record(1)), (KEY, b""), (KEY, record(1, body=bytes(9000))), (b"", record(1, b""))):
            with pytest.raises(ValueError, match="over a bound"):
                await hosts[0].put_record(key, value)
        assert await hosts[0].get_record(b"") is None


async def test_nothing_that_is_refused_is_put_into_a_peer() -> None:
    name = name_of(KEY)
    async with network(2) as (host, attacker):
        hold(host, record(5))
        for key, inner, value in (
            (name, name, record(4)),
            (name, name, b"garbage"),
            (name, name, record(6, body=bytes(bounds.RECORD_VALUE))),
            (name, name_of(OTHER), record(6)),
            (name_of(OTHER), name_of(OTHER), record(6)),
            (b"/pk/x", b"/pk/x", b"anything"),
            (b"no namespace", b"no namespace", b"anything"),
            (b"\xff", b"\xff", b"anything"),
        ):
            message = Message(type=Message.PUT_VALUE, key=key, record=Record(key=inner, value=value))
            await said(attacker, host, message.SerializeToString())
            assert held(host) == record(5)
            assert len(host.discovery.records) == 1
        with pytest.raises(StreamReset):  # refused at its length, and not taken first
            await raw(attacker, host.peer_id, id_of(NETWORK), encode_varint_prefixed(bytes(30 << 20)))
        assert await attacker.get_record(KEY) == record(5)


async def said(host: Host, to: Host, message: bytes) -> bytes:
    """Send one DHT message and read to the end of the answer, or of the stream."""
    stream = await host._host.new_stream(parse_peer(to.peer_id), [id_of(NETWORK)])
    answer = b""
    with trio.move_on_after(5):
        try:
            await stream.write(encode_varint_prefixed(message))
            while True:
                answer += await stream.read(65536)
        except Exception:  # the end, or a reset
            pass
    return answer


async def silent(_: INetStream) -> None:
    await trio.sleep_forever()


def saying(value: bytes, name: bytes = b"") -> Callable[[INetStream], Awaitable[None]]:
    """A DHT peer that answers everything with one record."""
    name = name or name_of(KEY)
    answer = Message(type=Message.GET_VALUE, key=name, record=Record(key=name, value=value))
    return pouring(encode_varint_prefixed(answer.SerializeToString()))


def naming(count: int) -> Callable[[INetStream], Awaitable[None]]:
    """One that names peers that do not exist, and some that are no peers."""
    answer = Message(type=Message.GET_VALUE, key=name_of(KEY))
    for number in range(count):
        peer = answer.closerPeers.add()
        peer.id = b"" if number % 3 else NodeKey.generate().peer_id.encode()
        peer.addrs.append(bytes([number % 256]) * 9)
    return pouring(encode_varint_prefixed(answer.SerializeToString()))


def pouring(data: bytes) -> Callable[[INetStream], Awaitable[None]]:
    async def serve(stream: INetStream) -> None:
        await stream.write(data)
        await trio.sleep_forever()

    return serve


LIARS: Sequence[Callable[[INetStream], Awaitable[None]]] = (
    saying(record(1)),
    saying(record(9, OTHER)),
    saying(record(9), name_of(OTHER)),
    saying(b"garbage" * 99),
    saying(record(9, body=bytes(bounds.RECORD_VALUE))),
    pouring(b"\xff" * 99),
    pouring(encode_varint_prefixed(b"\xff" * 99)),
    pouring(encode_varint_prefixed(bytes(10 << 20))),
    naming(500),
    silent,
)


@pytest.mark.parametrize("number", range(len(LIARS)))
async def test_a_lying_peer_of_the_dht_changes_no_answer(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RECORD_PATIENCE", 0.5)
    async with network(3) as (asker, honest, liar):
        for protocol in (id_of(NETWORK), LEGACY):
            liar._host.set_stream_handler(protocol, LIARS[number])
        hold(honest, record(2))
        with trio.fail_after(bounds.LOOKUP_TIMEOUT):
            assert await asker.get_record(KEY) == record(2)
            assert await asker.put_record(KEY, record(3))
            assert held(honest) == record(3)


async def test_silent_streams_of_one_keep_nobody_else_from_the_dht() -> None:
    async with network(3) as (host, attacker, honest):
        hold(host, record(1))
        for _ in range(40):  # the library serves twelve streams at once, for ever
            with suppress(Exception):  # those over the bound are reset, which the library tells in many ways
                await raw(attacker, host.peer_id, id_of(NETWORK), b"")
        assert await honest.get_record(KEY) == record(1)
