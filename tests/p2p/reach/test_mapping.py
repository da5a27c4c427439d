"""Asking routers to let others in: the real protocols against fake routers, and what is kept, renewed and removed."""

# ruff: noqa: ARG001 — pytest-trio takes the clock that a test names
from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from p2p import bounds
from p2p.reach.mapping import packets
from p2p.reach.mapping.gateway import default_gateway, default_gateway6
from p2p.reach.mapping.keeping import Keeper, first_mapped
from p2p.reach.mapping.ports import Grant, NoMapping, PcpPort, UpnpPort
from p2p.reach.places import Places
from p2p.reach.state import Mapped
from p2p.standing.ranges import wide_range_of

from .routers import UdpRouter, UpnpRouter

PLACES = Places(wide_range_of)


@pytest.mark.parametrize("old", [False, True])
async def test_a_port_is_mapped_and_unmapped_over_pcp_or_what_was_before_it(old: bool) -> None:
    router = UdpRouter(old=old)
    with router.running() as server:
        port = PcpPort("127.0.0.1", "127.0.0.1", 4001, server)
        assert await port.map() == Grant("203.0.113.5", 4001, 3600.0)
        assert port.name == ("NAT-PMP" if old else "PCP")
        assert router.mapped == {4001: 4001}
        assert (await port.map()).port == 4001
        await port.unmap()
        assert router.mapped == {}


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_an_ipv6_firewall_is_opened_and_closed_over_pcp_alone() -> None:
    router = UdpRouter()
    with router.running("::1") as server:
        port = PcpPort("::1", "::1", 4001, server)
        assert await port.map() == Grant("::1", 4001, 3600.0)  # the address is ours, and stays so
        assert router.mapped == {4001: 4001}
        await port.unmap()
        assert router.mapped == {}
    with UdpRouter(old=True).running("::1") as server, pytest.raises(NoMapping, match="::1 does not answer PCP"):
        await PcpPort("::1", "::1", 4001, server).map()


async def test_a_router_that_refuses_or_says_nothing_is_named() -> None:
    refuses = pytest.raises(NoMapping, match=r"router at 127\.0\.0\.1 refuses \(result 2\) over PCP")
    with UdpRouter(refuses=2).running() as server, refuses:
        await PcpPort("127.0.0.1", "127.0.0.1", 4001, server).map()
    with pytest.raises(NoMapping, match="answers neither PCP nor NAT-PMP"):
        await PcpPort("127.0.0.1", "127.0.0.1", 4001, 9).map()


async def test_a_port_is_mapped_and_unmapped_over_upnp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "UPNP_WAIT", 1.0)
    router = UpnpRouter(taken=(4001,))
    with router.running():
        port = UpnpPort("127.0.0.1", 4001, Random(1))
        grant = await port.map()
        assert (grant.ip, grant.seconds, port.router) == ("203.0.113.5", 3600.0, "127.0.0.1")
        assert router.mapped == {grant.port: ("127.0.0.1", 4001, 3600)}
        assert await port.map() == grant  # renewed, at the same port
        await port.unmap()
        assert router.mapped == {}
        router.permanent, router.taken = True, ()
        again = UpnpPort("127.0.0.1", 4001, Random(1))
        assert (await again.map()).port == 4001
        assert router.mapped == {4001: ("127.0.0.1", 4001, 0)}  # it ends with us, not by itself
        await again.unmap()
        assert router.mapped == {}
        router.ip = "100.64.0.9"
        assert (await UpnpPort("127.0.0.1", 4001, Random(1)).map()).ip == "100.64.0.9"
    monkeypatch.setattr(bounds, "UPNP_WAIT", 0.1)
    with trio.fail_after(bounds.UPNP_TIME + 1), pytest.raises(NoMapping, match="no router answers UPnP"):
        await UpnpPort("127.0.0.1", 4001, Random(1)).map()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"\x02\x81", b"\x00\x80", b"\x00\x82", b""]))
def test_any_packet_gives_a_reply_or_none(body: bytes, head: bytes) -> None:
    data = head + body
    nonce = bytes(12)
    for reply in (
        packets.read_pcp(data, nonce, 4001),
        packets.read_natpmp_address(data),
        packets.read_natpmp_map(data, 4001),
    ):
        assert reply is None or 0 <= reply.result < 2**16


def test_an_answer_to_somebody_elses_request_is_none() -> None:
    request = packets.pcp_map(b"n" * 12, "192.168.1.7", 4001, 4001, 60)
    answer = UdpRouter().answer(request)
    assert answer is not None
    assert packets.read_pcp(answer, b"n" * 12, 4001) == packets.Reply(0, 60, 4001, "203.0.113.5")
    assert packets.read_pcp(answer, b"m" * 12, 4001) is None
    assert packets.read_pcp(answer, b"n" * 12, 4002) is None


class FakePort:
    """A router in memory: grants, as long as it is willing."""

    def __init__(self, name: str, ip: str = "203.0.113.5", takes: float = 0.0, seconds: float = 3600.0) -> None:
        self.name, self.router, self.ip, self.takes, self.seconds = name, "192.168.1.1", ip, takes, seconds
        self.willing, self.mapped, self.times = True, False, 0

    async def map(self) -> Grant:
        await trio.sleep(self.takes)
        if not self.willing:
            raise NoMapping(f"{self.name} refuses")
        self.mapped, self.times = True, self.times + 1
        return Grant(self.ip, 4001, self.seconds)

    async def unmap(self) -> None:
        await trio.lowlevel.checkpoint()
        self.mapped = False


async def keep_for(seconds: float, *ports: FakePort, then: Callable[[float], None] = lambda _: None) -> list[Mapped]:
    """Keep a mapping for so long; what was reported. `then` is called every second."""
    told: list[Mapped] = []
    began = trio.current_time()

    async def pause(wait: float) -> None:
        until = trio.current_time() + wait
        while trio.current_time() < until:
            await trio.sleep(1)
            then(trio.current_time() - began)

    with trio.move_on_after(seconds):
        await Keeper(PLACES, told.append).keep(ports, lambda: True, pause)
    return told


async def test_one_protocol_at_a_time_is_asked_and_nothing_is_left_at_the_end(autojump_clock: MockClock) -> None:
    """A router has one table: a second mapping would take the first one over, and end it."""
    first, second = FakePort("PCP", takes=2.0), FakePort("UPnP")
    told = await keep_for(10, first, second)
    assert told == [Mapped("/ip4/203.0.113.5/tcp/4001", "PCP, router 192.168.1.1"), Mapped()]
    assert second.times == 0
    assert not first.mapped
    first.willing = False
    assert (await first_mapped([first, second]))[0] is second
    second.willing = False
    with pytest.raises(NoMapping, match="PCP refuses; UPnP refuses"):
        await first_mapped([first, second])


async def test_a_lease_is_renewed_at_half_its_life(autojump_clock: MockClock) -> None:
    port = FakePort("PCP", seconds=200)
    told = await keep_for(350, port)
    assert port.times == 4  # at 0, 100, 200 and 300
    assert len(set(told[:-1])) == 1


async def test_a_long_lease_is_renewed_often_for_routers_forget(autojump_clock: MockClock) -> None:
    for more, times in ((-1, 1), (2, 2)):
        port = FakePort("PCP", seconds=7200)
        await keep_for(bounds.MAPPING_AGAIN + more, port)
        assert port.times == times


async def test_a_router_that_forgot_us_is_asked_again_and_the_loss_is_told(
    autojump_clock: MockClock,
) -> None:
    port = FakePort("PCP", seconds=600)

    def outage(at: float) -> None:
        port.willing = not 200 < at < 270

    told = await keep_for(300, port, then=outage)  # asked at 0, 120, 240 and, in haste, 260 and 280
    assert [bool(each.external) for each in told[:5]] == [True, True, True, False, True]
    assert "PCP refuses" in told[3].trouble


async def test_one_lost_answer_costs_no_mapping(autojump_clock: MockClock) -> None:
    port = FakePort("PCP", seconds=600)

    def lost(at: float) -> None:
        port.willing = not 230 < at < 250

    told = await keep_for(300, port, then=lost)
    assert port.times == 3
    assert all(each.external for each in told[:-1])


@pytest.mark.parametrize(
    ("ip", "why"), [("100.64.3.2", "carrier's NAT"), ("192.168.0.2", "another router"), ("", "another router")]
)
async def test_a_router_without_a_public_address_is_named(
    ip: str,
    why: str,
    autojump_clock: MockClock,
) -> None:
    port = FakePort("UPnP", ip=ip)
    told = await keep_for(10, port)
    assert not told[0].external
    assert why in told[0].trouble
    assert not port.mapped


@pytest.mark.parametrize(
    ("outside", "why"), [("100.64.3.2", "carrier's NAT"), ("192.168.0.2", "another router"), ("", "carrier's NAT")]
)
async def test_a_router_that_refuses_for_want_of_a_public_address_is_named(
    outside: str, why: str, autojump_clock: MockClock
) -> None:
    class Refusing(FakePort):
        async def map(self) -> Grant:
            await trio.lowlevel.checkpoint()
            raise NoMapping("it refuses", "192.168.1.1", outside)

    told = await keep_for(10, Refusing("UPnP"))
    assert "192.168.1.1 has no public address itself" in told[0].trouble
    assert why in told[0].trouble


def test_the_default_router_is_read_from_the_systems_table(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
    )
    assert default_gateway(table) == "192.168.1.1"
    table.write_text("nonsense\nmore nonsense\n")
    assert default_gateway(table) == ""
    assert default_gateway(tmp_path / "none") == ""


def test_the_default_router_of_ipv6_is_read_with_its_interface(tmp_path: Path) -> None:
    table, zero = tmp_path / "ipv6_route", "0" * 32
    near, world = "fe80" + "0" * 27 + "1", "20014860" + "0" * 23 + "1"
    table.write_text(
        f"{world[:16]}{'0' * 16} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n"
        f"{zero} 00 {zero} 00 {world} 00000400 00000001 00000000 00000003    wlan0\n"
        f"{zero} 00 {zero} 00 {near} 00000100 00000001 00000000 00000003     eth0\n"
        f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
    )
    assert default_gateway6(table) == "fe80::1%eth0"
    table.write_text(f"{zero} 00 {zero} 00 {world} 00000400 00000001 00000000 00000003    wlan0\n")
    assert default_gateway6(table) == "2001:4860::1"
    table.write_text("nonsense\n")
    assert default_gateway6(table) == ""
    assert default_gateway6(tmp_path / "none") == ""
