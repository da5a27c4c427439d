"""The default router's address."""

from __future__ import annotations

import socket
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
