"""Against relays, and by relays: what each costs, and whom."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from libp2p.relay.circuit_v2.pb import circuit_pb2 as pb

from p2p import Host, bounds, open_host
from p2p.addresses import Multiaddr, parse_peer
from p2p.reach.places import Places
from p2p.relay import vantage
from p2p.relay.limits import STRANGERS
from p2p.relay.messages import (
    DCUTR,
    HOP,
    STOP,
    Addresses,
    Answer,
    Connect,
    Reserve,
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
from p2p.relay.service import Relay
from p2p.standing.ranges import Ranges
from wire.errors import RemoteError
from wire.keys import NodeKey

from ..hosts import LOOPBACK, NETWORK, ask, until
from ..reach.networks import WORLD, where
from ..reach.networks import peer as reach_peer
from .town import a_client, a_relay, behind, circuits, is_relayed, say

ONE = NodeKey(bytes(31) + b"\x01").peer_id


def books(relay: Host) -> Relay:
    assert relay._ways.relay is not None
    return relay._ways.relay


async def hop(host: Host, relay: Host, data: bytes) -> Answer:
    """What the relay answers on a new hop stream."""
    stream = await host._host.new_stream(parse_peer(relay.peer_id), [HOP])
    answer = await say(stream, data, read_hop)
    assert isinstance(answer, Answer)
    return answer


GARBAGE = (b"\xff" * 64, b"\x00", b"\x02\x08\x09", punch_bytes(Sync()), hop_bytes(Connect(ONE)), hop_bytes(Reserve()))


async def test_garbage_costs_its_sender_the_stream_alone() -> None:
    async with a_relay() as relay, behind(relay) as server, a_client() as attacker:
        await attacker.connect(relay.addresses, timeout=5)
        await attacker.connect(server.addresses, timeout=5)
        for victim in (relay, server):
            for protocol in (HOP, STOP, DCUTR):
                for data in GARBAGE:
                    with suppress(Exception):  # what is refused at once ends while it is being opened
                        stream = await attacker._host.new_stream(parse_peer(victim.peer_id), [protocol])
                        await stream.write(data)
                        await stream.close()
        await ask(attacker, server.peer_id)


async def test_a_circuit_of_a_crowd_ends_for_one_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RELAY_CIRCUITS", 4)  # half of them to one peer
    crowd: set[str] = set()
    ranges = Ranges(lambda _: None, lambda address: "crowd" if address in crowd else None)
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, relay=True, ranges=ranges) as relay,
        behind(relay) as server,
        a_client() as one,
        a_client() as two,
        a_client() as honest,
    ):
        for attacker in (one, two):
            await attacker.connect(relay.addresses, timeout=5)
            (connection,) = relay._swarm.get_connections(parse_peer(attacker.peer_id))
            crowd.add(str(connection.get_transport_addresses()[0]))
            await attacker.connect(circuits(server), timeout=5)
        await honest.connect(circuits(server), timeout=5)
        await ask(honest, server.peer_id)
        await until(lambda: len(server.connected()) == 3)  # the relay, one of the two, and the honest one
        assert books(relay).relaying().circuits == 2


async def test_a_flood_of_requests_is_not_answered() -> None:
    async with a_relay() as relay, behind(relay) as server, a_client() as attacker, a_client() as honest:
        await attacker.connect(relay.addresses, timeout=5)
        answered = 0
        for _ in range(2 * int(bounds.RELAY_REQUESTS_BURST)):
            with suppress(Exception):  # a stream that is reset at once may not even come about
                answered += (await hop(attacker, relay, hop_bytes(Connect(ONE)))).status == Status.NO_RESERVATION
        assert answered <= bounds.RELAY_REQUESTS_BURST + 2
        await honest.connect(server.addresses, timeout=5)


async def test_a_reservation_is_for_who_asks_and_nobody_else() -> None:
    async with a_relay() as relay, a_client() as attacker:
        await attacker.connect(relay.addresses, timeout=5)
        claims = pb.HopMessage(type=pb.HopMessage.RESERVE, peer=pb.PeerId(id=parse_peer(ONE).to_bytes()))
        body = claims.SerializeToString()
        assert (await hop(attacker, relay, bytes([len(body)]) + body)).status == Status.OK
        limits = books(relay)._limits
        assert limits.holds(attacker.peer_id, trio.current_time())
        assert not limits.holds(ONE, trio.current_time())


async def test_a_private_peer_gives_no_reservations() -> None:
    async with a_relay() as relay, a_client() as client:
        books(relay)._is_reachable = lambda: False
        await client.connect(relay.addresses, timeout=5)
        assert (await hop(client, relay, hop_bytes(Reserve()))).status == Status.RESERVATION_REFUSED


async def test_no_relay_behind_a_relay() -> None:
    async with (
        a_relay() as relay,
        open_host(
            NodeKey.generate(), NETWORK, listen=[*LOOPBACK, "/p2p-circuit"], relays=relay.addresses, relay=True
        ) as hidden,
        a_client() as client,
    ):
        await until(lambda: circuits(hidden))
        hidden._ways.upgrades.identified = lambda _: None  # type: ignore[method-assign]  # it is to stay relayed
        await client.connect(circuits(hidden), timeout=5)
        assert is_relayed(client, hidden.peer_id)
        assert (await hop(client, hidden, hop_bytes(Reserve()))).status == Status.PERMISSION_DENIED


async def test_who_holds_no_reservation_of_ours_brings_no_circuits() -> None:
    async with a_relay() as relay, behind(relay, listen=LOOPBACK) as server, a_client() as attacker:
        await attacker.connect([a for a in server.addresses if "p2p-circuit" not in a], timeout=5)
        stream = await attacker._host.new_stream(parse_peer(server.peer_id), [STOP])
        answer = await say(stream, stop_bytes(Connect(ONE)), read_stop)
        assert answer == Answer(Status.PERMISSION_DENIED)


async def test_a_relay_that_lies_about_who_comes_is_found_out() -> None:
    async with a_relay() as relay, behind(relay) as server, a_client() as accomplice:
        real = books(relay)._stop

        async def lying(circuit: object) -> object:
            circuit.source = ONE  # type: ignore[attr-defined]
            return await real(circuit)  # type: ignore[arg-type]

        books(relay)._stop = lying  # type: ignore[method-assign,assignment]
        try:  # the handshake may end before the lie shows
            await accomplice.connect(server.addresses, timeout=5)
        except RemoteError as error:
            assert "cannot be reached" in error.message  # noqa: PT017 — both outcomes are right
        await until(lambda: {status.peer_id for status in server.connected()} == {relay.peer_id})


async def test_a_relay_that_carries_nothing_gives_way_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_relay() as bad, a_relay() as good, behind(bad, good) as server, a_client() as client:

        async def swallow(*_: object) -> None:
            await trio.sleep_forever()

        books(bad)._join = swallow  # type: ignore[method-assign]
        over_bad = [address for address in server.addresses if bad.peer_id in address]
        over_good = [address for address in server.addresses if good.peer_id in address]
        monkeypatch.setattr(bounds, "DIAL_STAGGER", 0.05)
        with trio.fail_after(5):
            await client.connect([*over_bad, *over_good], timeout=5)
            await ask(client, server.peer_id)


async def test_a_strangers_circuit_ends_at_its_bytes() -> None:
    """A target that is not of the network gets what libp2p's relays give: enough to punch a hole."""
    async with a_relay() as relay, a_client() as target, a_client() as source:
        books(relay)._is_ours = lambda _: False  # type: ignore[method-assign]
        ends: list[int] = []

        async def swallow(stream: object) -> None:
            await receive(stream, read_stop)  # type: ignore[arg-type]
            await send(stream, stop_bytes(Answer(Status.OK)))  # type: ignore[arg-type]
            size = 0
            try:
                while data := await stream.read(1 << 16):  # type: ignore[attr-defined]
                    size += len(data)
            except Exception:  # however the relay ends it
                ends.append(size)

        target._host.set_stream_handler(STOP, swallow)
        for peer in (target, source):
            await peer.connect(relay.addresses, timeout=5)
        assert (await hop(target, relay, hop_bytes(Reserve()))).limit == STRANGERS
        stream = await source._host.new_stream(parse_peer(relay.peer_id), [HOP])
        assert (await say(stream, hop_bytes(Connect(target.peer_id)), read_hop)) == Answer(Status.OK, STRANGERS)
        for _ in range(40):
            try:
                await stream.write(bytes(1 << 14))
            except Exception:  # it is cut off
                break
        await until(lambda: ends)
        assert STRANGERS.data // 2 <= ends[0] <= STRANGERS.data
        assert books(relay).relaying().circuits == 0


async def test_a_target_that_reads_nothing_costs_a_window_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "WRITE_TIMEOUT", 0.3)
    async with a_relay() as relay, a_client() as target, a_client() as source:

        async def idle(stream: object) -> None:
            await receive(stream, read_stop)  # type: ignore[arg-type]
            await send(stream, stop_bytes(Answer(Status.OK)))  # type: ignore[arg-type]
            await trio.sleep_forever()

        target._host.set_stream_handler(STOP, idle)
        for peer in (target, source):
            await peer.connect(relay.addresses, timeout=5)
        await hop(target, relay, hop_bytes(Reserve()))
        books(relay)._is_ours = lambda _: True  # type: ignore[method-assign]
        stream = await source._host.new_stream(parse_peer(relay.peer_id), [HOP])
        await say(stream, hop_bytes(Connect(target.peer_id)), read_hop)
        sent = 0
        try:
            with trio.fail_after(5):
                while True:
                    await stream.write(bytes(1 << 16))
                    sent += 1 << 16
        except Exception:  # it is cut off
            assert sent <= 4 * bounds.RELAY_WINDOW
        await until(lambda: books(relay).relaying().circuits == 0)


async def test_a_peer_has_another_punch_holes_a_few_times_only() -> None:
    """Whom we dialled over a relay may name addresses of a third's; each try is a burst of SYNs at them."""
    async with a_relay() as relay, behind(relay) as attacker, a_client() as victim:
        await victim.connect(circuits(attacker), timeout=5)
        answered = 0
        for _ in range(4 * bounds.PUNCH_TRIES):
            with suppress(Exception):  # a stream that is reset at once may not even come about
                stream = await attacker._host.new_stream(parse_peer(victim.peer_id), [DCUTR])
                answered += isinstance(await say(stream, punch_bytes(Addresses(())), read_punch), Addresses)
                await stream.reset()
        assert 1 <= answered <= 2 * bounds.PUNCH_TRIES
        await ask(victim, attacker.peer_id)


async def test_circuits_of_one_peer_leave_room_for_others() -> None:
    async with a_relay() as relay, behind(relay) as server, a_client() as greedy, a_client() as honest:
        await greedy.connect(relay.addresses, timeout=5)
        statuses = [
            (await hop(greedy, relay, hop_bytes(Connect(server.peer_id)))).status
            for _ in range(bounds.RELAY_CIRCUITS_PER_PEER + 3)
        ]
        assert statuses.count(Status.OK) == bounds.RELAY_CIRCUITS_PER_PEER
        assert statuses[-1] == Status.RESOURCE_LIMIT_EXCEEDED
        await honest.connect(server.addresses, timeout=5)
        await ask(honest, server.peer_id)


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ("/ip4/127.30.0.1/tcp/4001", True),
        ("/ip4/192.168.1.1/tcp/80", False),
        ("/ip6/fd00::1/tcp/80", False),
        ("/dns4/router.lan/tcp/80", False),
    ],
)
async def test_a_relay_outside_that_says_we_are_met_inside_is_not_believed(
    said: str, believed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom we are met by in a LAN may have us dial there: a relay and its friend would knock behind our router."""

    async def lie(*_: object) -> str:
        return said

    monkeypatch.setattr(vantage, "_observed", lie)
    async with reach_peer("127.40.0.1", relay=True) as relay, reach_peer("127.41.0.1") as client:
        address = Multiaddr(where(relay).partition("/p2p/")[0])
        seen = await client._ways._vantage.seen(relay.peer_id, address, Places(WORLD.wide))
        assert seen == (said if believed else None)
