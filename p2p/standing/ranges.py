"""Which addresses are neighbours: who has one address easily has its range too, and other ranges cost more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

RangeOf = Callable[[str], str | None]
"""The range of an address, or None for one that no limit by range applies to."""

# Of this machine, of a LAN, or shared by the customers of one provider (RFC 6598): no range of the world's.
_LOCAL_4 = [
    IPv4Network(text)
    for text in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12")
] + [IPv4Network("192.168.0.0/16")]
_LOCAL_6 = [IPv6Network(text) for text in ("::/127", "fc00::/7", "fe80::/10")]


def range_of(address: str) -> str | None:
    """The /24 or, for IPv6, the /48 that `address` is in, as text.

    `address` is a multiaddress or a bare IP address. None for a relayed, loopback, private or link-local one, and for
    what is no IP address.
    """
    return _range(address, 24, 48)


def wide_range_of(address: str) -> str | None:
    """As `range_of`, the /16 or /32: what one operator often holds, and an attacker rarely holds many of."""
    return _range(address, 16, 32)


@dataclass(frozen=True, slots=True)
class Ranges:
    """How addresses are told apart; a laboratory whose hosts are all on one machine has rules of its own."""

    narrow: RangeOf = range_of
    wide: RangeOf = wide_range_of


def _range(address: str, bits_4: int, bits_6: int) -> str | None:
    found = _ip(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if isinstance(found, IPv4Address) and not any(found in network for network in _LOCAL_4):
        return str(ip_network((found, bits_4), strict=False))
    if isinstance(found, IPv6Address) and not any(found in network for network in _LOCAL_6):
        return str(ip_network((found, bits_6), strict=False))
    return None


def _ip(address: str) -> IPv4Address | IPv6Address | None:
    parts = address.split("/")
    if "p2p-circuit" in parts:
        return None  # it is the relay's, and tells nothing of the peer behind it
    host = parts[2] if len(parts) > 2 and parts[1] in ("ip4", "ip6") else address
    try:
        return ip_address(host.partition("%")[0])  # a zone names an interface of ours
    except ValueError:
        return None
