"""From which addresses mDNS is spoken, and that over IPv6 nobody is heard who is further away than a link."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import ifaddr
import pytest
import trio

from p2p.reach import multicast
from p2p.reach.multicast import Voice, hear, opened, voices
from p2p.reach.places import Places
from p2p.standing.ranges import wide_range_of

PLACES = Places(wide_range_of)
HOME4, HOME6, SECOND6 = IPv4Address("192.168.1.7"), IPv6Address("2001:4860::7"), IPv6Address("fd00::7")
WORLD4 = IPv4Address("8.8.4.4")


def adapter(index: int, *texts: str) -> ifaddr.Adapter:
    """An interface with these addresses, as the library gives one."""
    ips = [ifaddr.IP((text, 0, 0) if ":" in text else text, 64, "eth") for text in texts]
    return ifaddr.Adapter(f"eth{index}", f"eth{index}", ips, index)


def found(monkeypatch: pytest.MonkeyPatch, *adapters: ifaddr.Adapter) -> list[Voice]:
    """Where it is spoken, by a peer that listens on all of these addresses."""
    monkeypatch.setattr(multicast.ifaddr, "get_adapters", lambda: adapters)
    listening = {IPv4Address("127.0.0.1"), IPv6Address("::1"), HOME4, HOME6, SECOND6, WORLD4}
    return voices(listening, PLACES)


def test_a_home_is_spoken_to_in_both_families_and_once_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    lo = adapter(1, "127.0.0.1", "::1")
    home = adapter(2, str(HOME4), "fe80::7", str(HOME6), str(SECOND6))
    assert found(monkeypatch, lo, home) == [Voice(HOME4, 2), Voice(HOME6, 2)]


def test_a_lan_without_ipv4_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, adapter(3, "fe80::7", str(SECOND6))) == [Voice(SECOND6, 3)]


def test_a_machine_of_the_world_says_nothing_to_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, adapter(2, str(WORLD4), str(HOME6))) == []


def test_an_address_that_is_not_listened_on_does_not_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, adapter(2, "192.168.1.9", "fd00::9")) == []


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(("hops", "near"), [(255, True), (254, False), (64, False)])
async def test_what_passed_a_router_is_from_nobody(hops: int, near: bool) -> None:
    with opened(6) as ears, trio.socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as mouth:
        await ears.bind(("::1", 0))
        mouth.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        await mouth.sendto(b"word", ("::1", ears.getsockname()[1]))
        with trio.fail_after(5):
            assert await hear(ears) == (b"word", IPv6Address("::1") if near else None)
