"""A library stream seen as a `ByteStream`: one kind of error for a broken link, `b""` for an end."""

from __future__ import annotations

from collections.abc import Callable

import trio
from libp2p.abc import INetStream
from libp2p.connection_types import ConnectionType
from libp2p.network.stream.exceptions import StreamEOF

from .yamux.stream import YamuxStream


class NetByteStream:
    """Bytes on a py-libp2p stream."""

    def __init__(self, stream: INetStream) -> None:
        self._stream = stream

    async def read(self, limit: int) -> bytes:
        try:
            return await self._stream.read(limit)
        except StreamEOF:
            return b""
        except Exception as error:  # muxer, noise and socket each raise kinds of their own; all mean a broken link
            raise trio.BrokenResourceError(_text(error)) from error

    async def write(self, data: bytes) -> None:
        try:
            await self._stream.write(data)
        except Exception as error:  # as above
            raise trio.BrokenResourceError(_text(error)) from error

    async def close(self) -> None:
        try:
            await self._stream.close()
        except Exception as error:  # as above
            raise trio.BrokenResourceError(_text(error)) from error

    async def reset(self) -> None:
        try:
            await self._stream.reset()
        except Exception as error:  # as above
            raise trio.BrokenResourceError(_text(error)) from error

    @property
    def protocol(self) -> str:
        """The id that was agreed on for the stream."""
        return str(self._stream.get_protocol())

    def resting(self) -> bool:
        """Whether both directions are open and nothing unread has come, as far as this side knows."""
        return self._inner.resting

    @property
    def relayed(self) -> bool:
        """Whether the connection under it goes over a relay."""
        return self._stream.muxed_conn.get_connection_type() is ConnectionType.RELAYED

    def on_end(self, call: Callable[[], object] | None) -> None:
        self._inner.on_end(call)

    @property
    def _inner(self) -> YamuxStream:
        inner: YamuxStream = self._stream.muxed_stream  # type: ignore[attr-defined]  # its interface lacks it
        return inner


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
