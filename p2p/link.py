"""What noise stands on: bytes to and from a peer, with a way to send that never waits.

`SocketLink` goes to the file descriptor itself, past two layers of locks and copies; a relayed connection brings a link
of its own. `StreamLink` is for anything else that reads and writes (a pair in memory). All raise
`ConnectionClosedError` when the link is gone, and nothing else.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol, cast

import trio
from libp2p.abc import IRawConnection
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection

from . import bounds


class Link(Protocol):
    """A link to a peer. One task at a time may `flush`, one may `receive`."""

    over: bool = False  # whether `push` has another link's noise seal the data again

    def push(self, data: memoryview) -> int:
        """Send now what can be sent without waiting; how many bytes that was."""

    async def flush(self, pending: bytearray) -> None:
        """Wait until some of `pending` can be sent, send it and remove it."""

    async def receive(self, space: memoryview, more: bool) -> int:
        """Wait for bytes and write them into `space`; how many, 0 at the end. `more`: some are likely there now."""


class SocketLink(Link):
    """A link over a TCP socket of trio's."""

    def __init__(self, socket: trio.socket.SocketType) -> None:
        self._socket = socket
        if hasattr(trio.socket, "TCP_NOTSENT_LOWAT"):
            with suppress(OSError):  # one that is closed already fails when it is used
                socket.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NOTSENT_LOWAT, bounds.UNSENT)

    def push(self, data: memoryview) -> int:
        """Send now what can be sent without waiting; how many bytes that was."""
        try:
            return os.write(self._open(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise closed(error) from error

    def _open(self) -> int:
        if (descriptor := self._socket.fileno()) < 0:
            raise ConnectionClosedError("the connection was closed here", transport="tcp")
        return descriptor

    async def flush(self, pending: bytearray) -> None:
        """Wait until some of `pending` can be sent, send it and remove it."""
        try:
            await trio.lowlevel.wait_writable(self._open())
        except (OSError, trio.ClosedResourceError) as error:
            raise closed(error) from error
        with memoryview(pending) as view:
            sent = self.push(view)
        del pending[:sent]

    async def receive(self, space: memoryview, more: bool) -> int:
        """Wait for bytes and write them into `space`; how many, 0 at the end. `more`: some are likely there now."""
        try:
            while True:
                if more:
                    await trio.lowlevel.checkpoint()
                else:
                    await trio.lowlevel.wait_readable(self._open())
                try:
                    return os.readv(self._open(), [space])
                except BlockingIOError:
                    more = False
        except (OSError, trio.ClosedResourceError) as error:
            raise closed(error) from error


class StreamLink(Link):
    """A link over anything of the library's that reads and writes. Nothing can be sent there without waiting."""

    def __init__(self, connection: IRawConnection) -> None:
        self._connection = connection
        self._cut = False  # a write was cut off, and nobody knows where

    def push(self, data: memoryview) -> int:  # noqa: ARG002 — the interface's
        """Nothing: all of it waits for `flush`."""
        if self._cut:
            raise ConnectionClosedError("a write to the peer was cut off", transport="stream")
        return 0

    async def flush(self, pending: bytearray) -> None:
        """Send some of `pending` and remove it."""
        self.push(memoryview(b""))
        data = bytes(pending[: bounds.READ])
        self._cut = True
        try:
            await self._connection.write(data)
        except Exception as error:  # what stands below raises kinds of its own; all mean that the link is gone
            raise closed(error) from error
        self._cut = False
        del pending[: len(data)]

    async def receive(self, space: memoryview, more: bool) -> int:  # noqa: ARG002 — the interface's
        """Wait for bytes and write them into `space`; how many, 0 at the end."""
        try:
            data = await self._connection.read(len(space))
        except Exception as error:  # as above
            raise closed(error) from error
        space[: len(data)] = data
        return len(data)


def link_of(connection: IRawConnection) -> Link:
    """The best link that the connection allows; one that brings its own has it as `link`."""
    if (own := getattr(connection, "link", None)) is not None:
        return cast(Link, own)
    if isinstance(connection, RawConnection) and isinstance(connection.stream, TrioTCPStream):
        inner = connection.stream.stream
        if isinstance(inner, trio.SocketStream):
            return SocketLink(inner.socket)
    return StreamLink(connection)


def closed(error: BaseException) -> ConnectionClosedError:
    """What a link raises for whatever ended it."""
    return ConnectionClosedError(f"the connection is gone ({error or type(error).__name__})", transport="tcp")
