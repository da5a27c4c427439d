"""A peer behind a router, from the first look to the last: mapped once others reach it, and unmapped when it goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from p2p import Host, Reach, bounds
from p2p.reach import service
from p2p.reach.mapping.ports import PcpPort
from p2p.reach.places import IP, Places, Scope
from tests.p2p.hosts import until

from .networks import peer, peers, where
from .routers import UdpRouter

HOME, OUTSIDE = "127.0.0.7", "127.0.0.1"  # what it listens on in its LAN; where others see it


class HomeIsALan(Places):
    """Where HOME is no address of the world."""

    def scope(self, ip: IP) -> Scope:
        return Scope.LAN if str(ip) == HOME else super().scope(ip)


@asynccontextmanager
async def forwarding(router: UdpRouter) -> AsyncIterator[None]:
    """Carry connections from the router's outer ports to what is mapped there."""

    async def carry(stream: trio.SocketStream) -> None:
        inner = router.mapped.get(stream.socket.getsockname()[1])
        if inner is None:
            return
        async with await trio.open_tcp_stream(HOME, inner) as far, trio.open_nursery() as nursery:
            nursery.start_soon(pump, far, stream)
            await pump(stream, far)
            nursery.cancel_scope.cancel()

    async def pump(source: trio.SocketStream, target: trio.SocketStream) -> None:
        try:
            while data := await source.receive_some():
                await target.send_all(data)
        except trio.BrokenResourceError:
            return

    async def watch() -> None:
        open_ports: set[int] = set()
        async with trio.open_nursery() as nursery:
            while True:
                for port in set(router.mapped) - open_ports:
                    open_ports.add(port)
                    nursery.start_soon(partial(trio.serve_tcp, carry, port, host=OUTSIDE))
                await trio.sleep(0.02)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def at_home(router: UdpRouter, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    """A peer behind the router, with three others connected."""
    monkeypatch.setattr(bounds, "INTERFACES_EVERY", 0.1)
    monkeypatch.setattr(bounds, "UPNP_WAIT", 0.1)
    monkeypatch.setattr(service, "default_gateway", lambda: "127.0.0.1")
    with router.running() as server:
        monkeypatch.setattr(service, "PcpPort", partial(PcpPort, server_port=server))
        monkeypatch.setattr(service, "Places", HomeIsALan)
        opening = peer(HOME, port_mapping=True)
        async with forwarding(router), peers("127.1.0.1", "127.2.0.1", "127.3.0.1") as others, opening as host:
            for other in others:
                await host.connect([where(other)])
            yield host


async def test_a_mapped_port_is_told_once_it_was_dialled_and_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    router = UdpRouter(ip=OUTSIDE)
    async with at_home(router, monkeypatch) as host:
        await until(lambda: host.reachability().state is Reach.MAPPED)
        found = host.reachability()
        port = found.listening[0].rpartition("/")[2]
        assert found.confirmed == (f"/ip4/{OUTSIDE}/tcp/{port}",)
        assert found.mapping == "PCP, router 127.0.0.1"
        assert host.addresses == (f"{found.confirmed[0]}/p2p/{host.peer_id}",)  # and not the one in the LAN
        assert router.mapped
        ending = trio.current_time()
    assert router.mapped == {}
    assert trio.current_time() - ending < 4  # of which others take their part


async def test_behind_a_carriers_nat_a_peer_is_private_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with at_home(UdpRouter(ip="100.64.0.9"), monkeypatch) as host:
        await until(lambda: host.reachability().state is Reach.PRIVATE)
        assert "carrier's NAT" in host.reachability().reason
        assert host.addresses == ()
