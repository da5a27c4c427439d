"""mDNS's multicast group in both families: joining it, and speaking and hearing there (RFC 6762).

What is heard over IPv6 must not have passed a router: a machine's port may be open to the whole world there.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass

import ifaddr
import trio

from .. import bounds
from .places import IP, Places, Scope, read_ip

_GROUPS = {4: "224.0.0.251", 6: "ff02::fb"}
_HOPS = 255  # as every such packet begins with, so that one that has this still comes from the same link


@dataclass(frozen=True, slots=True)
class Voice:
    """An address of ours in a LAN, from which we speak there, and the number of its interface."""

    ip: IP
    index: int


def voices(listening: Collection[IP], places: Places) -> list[Voice]:
    """Where this machine is in LANs: its IPv4 addresses there, and of each interface one of IPv6.

    An IPv6 address says nothing of a LAN; an interface without an IPv4 address of the world's is taken to be in one.
    """
    found = []
    for adapter in ifaddr.get_adapters():
        texts = [one.ip if isinstance(one.ip, str) else one.ip[0] for one in adapter.ips]
        ours = [ip for ip in map(read_ip, texts) if ip is not None and ip in listening and not ip.is_loopback]
        four, six = ([ip for ip in ours if ip.version == version] for version in (4, 6))
        near = [ip for ip in four if places.scope(ip) is Scope.LAN]
        if len(near) == len(four):
            near += six[:1]
        found += [Voice(ip, adapter.index or 0) for ip in near]
    return found


def opened(version: int) -> trio.socket.SocketType:
    """A socket at mDNS's port, which others of this machine have as well. OSError as the system gives it."""
    udp = trio.socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):  # the system's own resolver has the port as well
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if version == 4:
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _HOPS)
    else:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    return udp


def join(udp: trio.socket.SocketType, voice: Voice) -> None:
    """Hear what is said in that LAN. OSError where that is so already, and where the interface is gone."""
    group = socket.inet_pton(udp.family, _GROUPS[voice.ip.version])
    if voice.ip.version == 4:
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + voice.ip.packed)
    else:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", voice.index))


async def say(udp: trio.socket.SocketType, packet: bytes, voice: Voice) -> None:
    """Say it in that LAN, from that very address. OSError where the interface is down, or takes no multicast."""
    if voice.ip.version == 4:
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, voice.ip.packed)
        await udp.sendto(packet, (_GROUPS[4], bounds.MDNS_PORT))
    else:  # by itself the system would speak from an address that means nothing without its interface
        source = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, voice.ip.packed + struct.pack("@I", voice.index))
        await udp.sendmsg([packet], [source], 0, (_GROUPS[6], bounds.MDNS_PORT, 0, voice.index))


async def hear(udp: trio.socket.SocketType) -> tuple[bytes, IP | None]:
    """The next packet, and who sent it: None for one that came from elsewhere than this link."""
    if udp.family == socket.AF_INET:
        data, sender = await udp.recvfrom(bounds.MDNS_PACKET)
        return data, read_ip(sender[0])
    data, said, _, sender = await udp.recvmsg(bounds.MDNS_PACKET, socket.CMSG_SPACE(struct.calcsize("@i")))
    near = any(
        (level, kind, value) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, struct.pack("@i", _HOPS))
        for level, kind, value in said
    )
    return data, read_ip(sender[0]) if near else None
