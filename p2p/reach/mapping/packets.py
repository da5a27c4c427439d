"""The packets of NAT-PMP (RFC 6886) and of its successor PCP (RFC 6887), for one TCP port. Pure functions.

Whatever a router sends gives a `Reply` or None: packets of another kind, of another request, and broken ones.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

SERVER_PORT = 5351
NONCE = 12
_TCP = 6
_MAP = 1
_REPLY = 0x80
UNSUPPORTED_VERSION = 1  # of both protocols


@dataclass(frozen=True, slots=True)
class Reply:
    """A router's answer. `result` is 0 when it did as asked; `seconds` is the life it gives."""

    result: int
    seconds: int = 0
    port: int = 0
    ip: str = ""


def pcp_map(nonce: bytes, client: str, port: int, external: int, seconds: int) -> bytes:
    """Map `port` of `client`, best to `external`, for so long; 0 seconds: end the mapping.

    An IPv6 one is mapped to itself: strangers are let through the router's firewall.
    """
    return (
        struct.pack("!BBxxI", 2, _MAP, seconds)
        + _sixteen(client)
        + nonce
        + struct.pack("!BxxxHH", _TCP, port, external)
        + _sixteen("::" if ":" in client else "0.0.0.0")
    )


def read_pcp(data: bytes, nonce: bytes, port: int) -> Reply | None:
    """The answer to `pcp_map` with this nonce and port."""
    if len(data) < 4 or data[0] != 2:  # an old router answers in the old version that it does not know ours
        return Reply(UNSUPPORTED_VERSION) if len(data) >= 8 and data[0] == 0 else None
    if len(data) < 60 or data[1] != _REPLY | _MAP:
        return Reply(data[3]) if data[3] == UNSUPPORTED_VERSION else None
    result, seconds = struct.unpack("!xxxBI", data[:8])
    protocol, internal, external = struct.unpack("!BxxxHH", data[36:44])
    if data[24:36] != nonce or protocol != _TCP or internal != port:
        return None
    ip = ip_address(data[44:60])
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return Reply(result, seconds, external, str(mapped or ip))


def natpmp_address() -> bytes:
    """Ask for the router's own address outside."""
    return b"\x00\x00"


def read_natpmp_address(data: bytes) -> Reply | None:
    """The answer to `natpmp_address`."""
    if len(data) < 12 or data[:2] != b"\x00\x80":
        return None
    return Reply(int.from_bytes(data[2:4], "big"), ip=str(IPv4Address(data[8:12])))


def natpmp_map(port: int, external: int, seconds: int) -> bytes:
    """As `pcp_map`; to end a mapping, `external` is 0 too."""
    return struct.pack("!BBxxHHI", 0, 2, port, external, seconds)


def read_natpmp_map(data: bytes, port: int) -> Reply | None:
    """The answer to `natpmp_map` of this port."""
    if len(data) < 16 or data[:2] != b"\x00\x82":
        return None
    result, internal, external, seconds = struct.unpack("!xxHxxxxHHI", data[:16])
    return Reply(result, seconds, external) if internal == port else None


def _sixteen(ip: str) -> bytes:
    found = ip_address(ip)
    return found.packed if found.version == 6 else b"\x00" * 10 + b"\xff\xff" + found.packed
