"""Peers in one LAN find each other and connect; others' packets, and any other bytes, do nothing."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

import pytest
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from p2p import bounds
from p2p.reach.lan import Lan
from p2p.reach.mdns import Answerer, Heard, question
from p2p.reach.multicast import Voice
from p2p.reach.places import ip_of
from tests.p2p.hosts import until
from wire.keys import NodeKey

ONE, TWO = (NodeKey(secret.to_bytes(32, "big")).peer_id for secret in (1, 2))
AT = "/ip4/192.168.1.7/tcp/4001"


def test_an_answer_is_read_by_peers_of_the_same_network() -> None:
    answer = Answerer(ONE, "here").answer([AT, "/ip6/fd00::7/tcp/4001"])
    assert Answerer(TWO, "here").read(answer) == Heard(False, ((ONE, (AT, "/ip6/fd00::7/tcp/4001")),))
    assert Answerer(TWO, "there").read(answer).peers == ()
    assert Answerer(ONE, "here").read(answer).peers == ()  # our own, come back
    assert Answerer(TWO, "here").read(question()) == Heard(True, ())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 255))
@example(b"", 0, 0)
def test_any_packet_is_survived(data: bytes, where: int, byte: int) -> None:
    answerer = Answerer(TWO, "here")
    bent = bytearray(Answerer(ONE, "here").answer([AT]))
    bent[where % len(bent)] = byte
    for packet in (data, bytes(bent), bytes(bent[:where])):
        for peer, addresses in answerer.read(packet).peers:
            assert peer != TWO
            assert all(ip_of(address) is not None or address.startswith("/dns") for address in addresses)


@pytest.fixture
def own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port of this test's, so that what runs beside it is not heard."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        monkeypatch.setattr(bounds, "MDNS_PORT", free.getsockname()[1])


class Meetings:
    """A peer in the LAN of loopback, and whom it would have connected to."""

    def __init__(self, peer_id: str, network: str, address: str) -> None:
        self.met: list[tuple[str, tuple[str, ...]]] = []
        self.lan = Lan(peer_id, network, lambda: [Voice(IPv4Address("127.0.0.1"), 0)], lambda: [address], self._meet)

    async def _meet(self, peer_id: str, addresses: object) -> None:
        await trio.lowlevel.checkpoint()
        self.met.append((peer_id, tuple(addresses)))  # type: ignore[call-overload]


@pytest.mark.usefixtures("own_port")
async def test_peers_of_one_lan_and_network_meet() -> None:
    one = Meetings(ONE, "here", "/ip4/127.0.0.1/tcp/1")
    two = Meetings(TWO, "here", "/ip4/127.0.0.1/tcp/2")
    third = Meetings(NodeKey.generate().peer_id, "elsewhere", "/ip4/127.0.0.1/tcp/3")
    async with trio.open_nursery() as nursery:
        for each in (one, two, third):
            nursery.start_soon(each.lan.run)
        await until(lambda: one.met and two.met)
        nursery.cancel_scope.cancel()
    assert set(one.met) == {(TWO, ("/ip4/127.0.0.1/tcp/2",))}
    assert set(two.met) == {(ONE, ("/ip4/127.0.0.1/tcp/1",))}
    assert third.met == []


@pytest.mark.usefixtures("own_port")
async def test_a_packet_has_nobody_dial_an_address_that_it_did_not_come_from() -> None:
    spite = Meetings(ONE, "here", "/ip4/203.0.113.9/tcp/22")
    two = Meetings(TWO, "here", "/ip4/127.0.0.1/tcp/2")
    async with trio.open_nursery() as nursery:
        for each in (spite, two):
            nursery.start_soon(each.lan.run)
        await until(lambda: spite.met)
        nursery.cancel_scope.cancel()
    assert two.met == []


@pytest.mark.usefixtures("own_port")
async def test_a_flood_of_names_is_dialled_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LAN_RATE", 0.0)
    monkeypatch.setattr(bounds, "LAN_BURST", 3.0)
    two = Meetings(TWO, "here", "/ip4/127.0.0.1/tcp/2")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(two.lan.run)
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))

            async def flood() -> None:
                for _ in range(20):
                    name = Answerer(NodeKey.generate().peer_id, "here").answer(["/ip4/127.0.0.1/tcp/9"])
                    await udp.sendto(name, ("224.0.0.251", bounds.MDNS_PORT))

            await flood()
            await until(lambda: len(two.met) == 3)
            await flood()
            await trio.testing.wait_all_tasks_blocked(0.05)
        nursery.cancel_scope.cancel()
    assert len(two.met) == 3
