"""The laboratory's internet: packets go to whom they are for, after both links, and private ones nowhere."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from random import Random

from .internet import Internet
from .links import Faults


def v4(to: str, size: int = 60) -> bytes:
    """A packet of IPv4, as far as it is looked at."""
    return bytes([0x45]) + bytes(15) + IPv4Address(to).packed + bytes(size - 20)


def v6(to: str) -> bytes:
    return bytes([0x60]) + bytes(23) + IPv6Address(to).packed


def world() -> Internet:
    """Two machines; the first one's link has 10 ms each way, the other's 30."""
    internet = Internet(Random(1))
    for number, delay in ((1, 0.01), (2, 0.03)):
        prefix = IPv6Network(f"2a01:{number}::/32")
        assert internet.add(Faults(delay=delay), IPv4Address(f"20.{number}.0.1"), prefix) == number - 1
    return internet


def test_a_packet_takes_the_delay_of_both_links() -> None:
    internet = world()
    packet = v4("20.2.0.1")
    internet.came(0, packet, 1.0)
    assert internet.next() == 1.01
    assert internet.due(1.01) == []
    assert internet.next() == 1.04
    assert internet.due(1.05) == [(1, packet)]
    assert internet.next() is None
    assert [port.carried for port in internet.ports] == [0, 60]


def test_any_address_of_a_prefix_leads_to_its_machine() -> None:
    internet = world()
    internet.came(1, v6("2a01:1:0:1::11"), 0.0)
    assert [port for port, _ in internet.due(1.0)] == [0]


def test_what_is_for_nobody_goes_nowhere() -> None:
    internet = world()
    for packet in (v4("192.168.1.11"), v4("20.9.0.1"), v6("fe80::1"), v4("20.1.0.1"), b"", b"\x45", b"\xff" * 40):
        internet.came(0, packet, 0.0)
    assert internet.next() is None
    assert internet.astray == 7


def test_a_slow_sender_does_not_hold_back_a_fast_one() -> None:
    internet = world()
    internet.add(Faults(), IPv4Address("20.3.0.1"), IPv6Network("2a01:3::/32"))
    internet.ports[1].faults.delay = 2.0
    internet.came(1, v4("20.1.0.1"), 0.0)
    internet.came(2, v4("20.1.0.1"), 0.1)
    assert len(internet.due(0.2)) == 1
    assert len(internet.due(3.0)) == 1
