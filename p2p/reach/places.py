"""Where an address is: how far it can be reached from, and in which network it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

from ..addresses import Multiaddr
from ..standing.ranges import RangeOf

IP = IPv4Address | IPv6Address
_DNS = {"dns", "dns4", "dns6", "dnsaddr"}


class Scope(IntEnum):
    """From how far an address can be reached, at best; each holds the ones before."""

    MACHINE = 0
    LAN = 1
    GLOBAL = 2


NAMES: Mapping[Scope, str] = {Scope.MACHINE: "machine", Scope.LAN: "lan", Scope.GLOBAL: "global"}


def read_ip(text: str) -> IP | None:
    """The address that `text` writes, its zone left out and a mapped IPv4 address as what it is."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def ip_of(address: str) -> IP | None:
    """The IP address that a multiaddress begins with; None for a name, for a circuit and for what is none."""
    parts = address.split("/", 6)
    if len(parts) < 5 or parts[1] not in ("ip4", "ip6") or parts[3] != "tcp" or "p2p-circuit" in address:
        return None
    return read_ip(parts[2])


def port_of(address: str) -> int:
    """The TCP port of a multiaddress that `ip_of` reads."""
    return int(address.split("/", 6)[4])


def written(ip: IP | str, port: int) -> str:
    """A multiaddress."""
    return f"/ip{6 if ':' in str(ip) else 4}/{ip}/tcp/{port}"


class Places:
    """Scopes and networks of addresses. `wide`: the range of one that stands in the world, None for any other."""

    def __init__(self, wide: RangeOf) -> None:
        self._wide = wide

    def scope(self, ip: IP) -> Scope:
        """From how far `ip` can be reached, at best."""
        if self._wide(str(ip)) is not None:
            return Scope.GLOBAL
        return Scope.MACHINE if ip.is_loopback else Scope.LAN

    def network(self, ip: IP) -> str:
        """Whose network `ip` is in, roughly; peers in one may be one person's."""
        return self._wide(str(ip)) or ""


def scope_of(address: str, places: Places) -> Scope:
    """From how far the address can be reached, or its relay's; one with a name in it is the world's."""
    parts = address.split("/", 3)
    if len(parts) == 4 and parts[1] in _DNS:
        return Scope.GLOBAL
    ip = read_ip(parts[2]) if len(parts) == 4 and parts[1] in ("ip4", "ip6") else None
    return Scope.MACHINE if ip is None or ip.is_unspecified else places.scope(ip)


def tellable(addresses: Iterable[str], places: Places, scope: Scope) -> list[str]:
    """Those that mean anything where peers are reached in `scope`; what counts of a circuit is where its relay is."""
    return [each for each in addresses if scope_of(each, places) >= scope]


def expanded(listening: Iterable[Multiaddr], own: Iterable[str]) -> tuple[str, ...]:
    """What this machine really listens on, IPv4 first: the order of two listeners is by chance, and people read it.

    `own`: its addresses, for 0.0.0.0 and ::; those of one link are left out.
    """
    found: dict[str, None] = {}
    ours = [ip for text in own if (ip := read_ip(text)) is not None]
    for address in map(str, listening):
        ip = ip_of(address)
        if ip is None:
            continue
        hosts = [one for one in ours if one.version == ip.version] if ip.is_unspecified else [ip]
        found |= dict.fromkeys(written(host, port_of(address)) for host in hosts if not host.is_link_local)
    return tuple(sorted(found, key=lambda address: address.startswith("/ip6/")))
