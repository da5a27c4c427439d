"""The default routers' addresses."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address
from pathlib import Path

_GATEWAY = 0x2  # RTF_GATEWAY


def default_gateway(routes: Path = Path("/proc/net/route")) -> str:
    """The IPv4 address of the default route's router with the lowest metric; "" where there is none, or no Linux."""
    found = []
    try:
        for line in routes.read_text().splitlines()[1:]:
            _, destination, gateway, flags, _, _, metric, mask, *_ = line.split()
            if destination == mask == "00000000" and int(flags, 16) & _GATEWAY:
                found.append((int(metric), socket.inet_ntoa(bytes.fromhex(gateway)[::-1])))
    except (OSError, ValueError):  # another system's, or another form of it
        return ""
    return min(found, default=(0, ""))[1]


def default_gateway6(routes: Path = Path("/proc/net/ipv6_route")) -> str:
    """The same of IPv6, with its interface where it has a meaning on its link alone: fe80::1%eth0."""
    found = []
    try:
        for line in routes.read_text().splitlines():
            destination, length, _, _, gateway, metric, _, _, flags, device = line.split()
            if int(destination, 16) == int(length, 16) == 0 and int(flags, 16) & _GATEWAY:
                ip = IPv6Address(int(gateway, 16))
                found.append((int(metric, 16), f"{ip}%{device}" if ip.is_link_local else str(ip)))
    except (OSError, ValueError):  # as above
        return ""
    return min(found, default=(0, ""))[1]
