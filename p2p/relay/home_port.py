"""Dialling from one port, always the same: so that a router maps it once, and others are told where we may be met.

It is the port that we listen on, or, for a peer that listens nowhere, one that is kept for this.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection

from ..addresses import Multiaddr
from ..reach.places import ip_of, port_of


class HomePort:
    """`listening`: our own listeners' addresses, 0.0.0.0 among them as it is."""

    def __init__(self, listening: Callable[[], Iterable[Multiaddr]]) -> None:
        self._listening = listening
        self._kept: dict[int, socket.socket] = {}  # by IP version

    async def dial(self, address: str) -> RawConnection:
        """A TCP connection to `/ip4/…/tcp/…` from our port. OSError as the system gives it."""
        ip = ip_of(address)
        if ip is None:
            raise OSError(f"{address} is no IP address with a port")
        family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            _share_port(sock)
            await sock.bind(self._home(ip.version))
            await sock.connect((str(ip), port_of(address)))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return RawConnection(TrioTCPStream(trio.SocketStream(sock)), True)
        except BaseException:  # cancelled, too: nobody has the socket yet who could close it; raised on
            sock.close()
            raise

    def close(self) -> None:
        """Let go of a port that was kept."""
        for sock in self._kept.values():
            sock.close()
        self._kept.clear()

    def _home(self, version: int) -> tuple[str, int]:
        for address in map(str, self._listening()):
            ip = ip_of(address)
            if ip is not None and ip.version == version:
                return str(ip), port_of(address)
        if version not in self._kept:
            sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
            _share_port(sock)
            sock.bind(("0.0.0.0" if version == 4 else "::", 0))
            self._kept[version] = sock
        host, port = self._kept[version].getsockname()[:2]
        return host, port


def _share_port(sock: socket.socket | trio.socket.SocketType) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
