"""Real hosts over real relays: reached at once, moved to a direct connection, and to another relay when one dies."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from libp2p.abc import INetConn
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction

from p2p import Host, bounds, fetch_blob, serve_blobs
from p2p.addresses import Multiaddr, parse_peer
from p2p.blobs.uploads import Uploads
from p2p.relay.limits import Limits
from wire.blob import AskOutline
from wire.errors import RemoteError

from ..blobs.made import BLOB, SIZE, Store
from ..hosts import ASK, LOOPBACK, ask, echo, until
from .town import Doomed, a_client, a_relay, behind, circuits, is_relayed


async def test_a_peer_that_listens_nowhere_is_reached_over_a_relay() -> None:
    async with a_relay() as relay, behind(relay) as server, a_client() as client:
        await client.connect(server.addresses, timeout=5)
        await ask(client, server.peer_id)
        (status,) = [status for status in client.connected() if status.peer_id == server.peer_id]
        assert (status.relayed, status.via, status.outgoing) == (True, relay.peer_id, True)
        counts = relay.relaying()
        assert counts is not None
        assert (counts.reservations, counts.circuits, counts.circuits_ever) == (1, 1, 1)
        assert counts.bytes > 0
        assert relay._ways.relay is not None
        assert relay._ways.relay.metered(client.peer_id) == counts.bytes
        assert server.reachability().relays == tuple(circuits(server))


async def test_a_dead_direct_address_does_not_keep_a_peer_from_being_reached() -> None:
    async with a_relay() as relay, behind(relay) as server, a_client() as client:
        dead = f"/ip4/203.0.113.1/tcp/9/p2p/{server.peer_id}"  # nobody answers there
        with trio.fail_after(bounds.CIRCUIT_STAGGER + 3):
            await client.connect([dead, *server.addresses], timeout=5)
        assert is_relayed(client, server.peer_id)


async def test_without_a_reservation_the_error_says_so() -> None:
    async with a_relay() as relay, behind(relay) as server, a_relay() as other, a_client() as client:
        wrong = f"{other.addresses[0]}/p2p-circuit/p2p/{server.peer_id}"
        with pytest.raises(RemoteError, match="it has no reservation there"):
            await client.connect([wrong], timeout=5)


async def test_a_relayed_connection_gives_way_to_a_direct_one_and_stands_by() -> None:
    async with (
        a_relay() as relay,
        behind(relay, listen=LOOPBACK) as server,
        a_client(listen=LOOPBACK) as client,
    ):
        server.learn(client.peer_id, client.addresses)  # as its presence would say
        await client.connect(circuits(server), timeout=5)
        async with client.exchange(server.peer_id, "echo") as channel:
            await until(lambda: not is_relayed(client, server.peer_id))
            await channel.send(ASK)  # what is open ends where it is
            assert await channel.receive(AskOutline, timeout=5) == ASK
        connections = client._swarm.get_connections(parse_peer(server.peer_id))
        assert len(connections) >= 2
        before = relay._ways.relay.metered(client.peer_id) if relay._ways.relay else 0
        await ask(client, server.peer_id)  # not on the stream that was kept
        assert relay._ways.relay is not None
        assert relay._ways.relay.metered(client.peer_id) - before < 200  # an end of the kept stream, and no exchange
        for connection in connections:
            if connection.get_connection_type().value == "direct":
                await connection.close()
        assert is_relayed(client, server.peer_id)
        await ask(client, server.peer_id)


async def test_a_hole_is_punched_where_neither_knows_the_others_address() -> None:
    async with (
        a_relay() as relay,
        behind(relay, listen=LOOPBACK) as server,
        a_client(listen=LOOPBACK) as client,
    ):
        for host in (server, client):
            host._ways.upgrades._where = lambda _: []
        await client.connect(circuits(server), timeout=5)
        await until(lambda: not is_relayed(client, server.peer_id))
        await ask(client, server.peer_id)
        assert not is_relayed(server, client.peer_id)


async def test_another_relay_is_used_when_one_dies_in_the_middle_of_a_transfer(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "RELAY_RATE", 8 << 20)  # so that there is a middle
    town = Doomed(nursery)
    relays = [await town.relay(), await town.relay()]
    async with behind(*relays) as server, a_client() as client:
        store, uploads = Store(full=True), Uploads()
        server.handle("blobs", lambda channel: serve_blobs(channel, store, uploads))
        client.learn(server.peer_id, server.addresses)
        taken, done = Store(), 0

        def progress(stored: int, *_: object) -> None:
            nonlocal done
            if stored > SIZE // 4 and not done:
                done = stored
                via = next(status.via for status in client.connected() if status.peer_id == server.peer_id)
                town.end(next(relay for relay in relays if relay.peer_id == via))

        with trio.fail_after(15):
            await fetch_blob(client, [server.peer_id], BLOB, taken, progress)
        assert done
        assert taken.chunks == store.chunks
        assert sum(taken.puts) <= SIZE  # nothing that was stored came again
        await until(lambda: len(circuits(server)) == 1)
        nursery.cancel_scope.cancel()


async def test_a_lost_reservation_is_made_again_when_the_relay_is_back(nursery: trio.Nursery) -> None:
    town = Doomed(nursery)
    first, second = await town.relay(), await town.relay()
    async with behind(first, second) as server:
        moved = trio.Event()
        server.on_addresses_changed(moved.set)
        town.end(first)
        with trio.fail_after(5):
            await moved.wait()
        await until(lambda: len(circuits(server)) == 1)
        # What ends now is the connection alone: the relay is there, and takes it back.
        assert second._ways.relay is not None
        limits = second._ways.relay._limits
        await second._swarm.close_peer(parse_peer(server.peer_id))
        await until(lambda: circuits(server) and limits.holds(server.peer_id, trio.current_time()))
        nursery.cancel_scope.cancel()


async def test_a_relayed_connection_that_only_stands_by_is_closed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "STANDBY", 0.5)
    monkeypatch.setattr(bounds, "POOL_IDLE", 0.1)
    async with (
        a_relay() as relay,
        behind(relay, listen=LOOPBACK) as server,
        a_client(listen=LOOPBACK) as client,
    ):
        await client.connect(circuits(server), timeout=5)
        await until(lambda: not is_relayed(client, server.peer_id))
        assert relay._ways.relay is not None
        limits: Limits = relay._ways.relay._limits
        await until(lambda: not limits.summary(trio.current_time()).circuits)
        await ask(client, server.peer_id)


async def test_of_two_direct_connections_both_sides_keep_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a hole is punched while the other side dials: whichever came first, the smaller id's dial stays."""
    monkeypatch.setattr(bounds, "SURPLUS", 0.5)
    monkeypatch.setattr(bounds, "POOL_IDLE", 0.1)
    async with a_client(listen=LOOPBACK) as one, a_client(listen=LOOPBACK) as two:
        hosts = sorted((one, two), key=lambda host: parse_peer(host.peer_id).to_bytes())
        for host in hosts:
            host.handle("echo", echo)
        for first, second in (hosts, hosts[::-1]):
            await dial(first, second)
            await dial(second, first)
            await until(lambda: all(len(connections(*pair)) == 2 for pair in (hosts, hosts[::-1])))
            async with first.exchange(second.peer_id, "echo") as channel:  # which is at home on the one that stays
                await until(lambda: all(len(connections(*pair)) == 1 for pair in (hosts, hosts[::-1])))
                await channel.send(ASK)
                assert await channel.receive(AskOutline, timeout=5) == ASK
            (ours,), (theirs,) = connections(*hosts), connections(*hosts[::-1])
            assert (ours.direction, theirs.direction) == (Direction.OUTBOUND, Direction.INBOUND)
            await ask(hosts[0], hosts[1].peer_id)
            await ask(hosts[1], hosts[0].peer_id)
            await hosts[0]._swarm.close_peer(parse_peer(hosts[1].peer_id))
            await until(lambda: not any(connections(*pair) for pair in (hosts, hosts[::-1])))


async def test_a_needless_connection_stays_while_an_exchange_runs_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SURPLUS", 0.2)
    monkeypatch.setattr(bounds, "POOL_IDLE", 0.1)
    async with a_client(listen=LOOPBACK) as one, a_client(listen=LOOPBACK) as two:
        small, large = sorted((one, two), key=lambda host: parse_peer(host.peer_id).to_bytes())
        small.handle("echo", echo)
        await dial(large, small)
        async with large.exchange(small.peer_id, "echo") as channel:
            await dial(small, large)
            looks = seen_by_housekeeping(large, monkeypatch)
            await until(lambda: len(looks) >= 30)  # three times as many as a connection at rest is given
            assert len(connections(large, small)) == 2
            await channel.send(ASK)
            assert await channel.receive(AskOutline, timeout=5) == ASK
        await until(lambda: len(connections(large, small)) == 1)


async def test_connections_that_one_side_dialled_are_left_alone() -> None:
    """A peer holds one to its relay that leaves from the port it listens on, beside another: both are wanted."""
    async with a_client(listen=LOOPBACK) as one, a_client(listen=LOOPBACK) as two:
        for _ in range(2):
            await dial(one, two)
        await until(lambda: len(connections(two, one)) == 2)
        assert one._swarm.surplus(parse_peer(two.peer_id)) == two._swarm.surplus(parse_peer(one.peer_id)) == []


async def dial(host: Host, other: Host) -> None:
    """One more connection, whatever stands."""
    await host._swarm.dial_addr(Multiaddr(other.addresses[0].partition("/p2p/")[0]), parse_peer(other.peer_id))


def connections(host: Host, other: Host) -> list[Any]:
    """Those that stand from `host` to `other`."""
    return [c for c in host._swarm.get_connections(parse_peer(other.peer_id)) if not c.is_closed]


def seen_by_housekeeping(host: Host, monkeypatch: pytest.MonkeyPatch) -> list[ID]:
    """Grows with each look that its housekeeping takes at a peer's connections."""
    looks: list[ID] = []
    surplus = host._swarm.surplus

    def look(peer: ID) -> list[INetConn]:
        looks.append(peer)
        return surplus(peer)

    monkeypatch.setattr(host._swarm, "surplus", look)
    return looks
