"""Connected pairs of in-memory byte streams, so that a protocol's test needs no network."""

from __future__ import annotations

from collections.abc import Callable

import trio

from p2p.streams import Channel


class _Pipe:
    """One direction: bytes, an end, or a break."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = self.broken = False
        self.news = trio.lowlevel.ParkingLot()
        self.on_end: Callable[[], object] | None = None

    def tell(self) -> None:
        self.news.unpark_all()
        if (self.ended or self.broken) and self.on_end is not None:
            self.on_end()


class MemoryStream:
    """One end of a pair. Reads are cut to `most` bytes, so that frames come in pieces. Counts what was written."""

    def __init__(self, inbound: _Pipe, outbound: _Pipe, most: int) -> None:
        self._in, self._out, self._most = inbound, outbound, most
        self.written = 0

    async def read(self, limit: int) -> bytes:
        await trio.lowlevel.checkpoint()
        while not self._in.data and not self._in.ended and not self._in.broken:
            await self._in.news.park()
        if self._in.broken:
            raise trio.BrokenResourceError("reset")
        data = bytes(self._in.data[: min(limit, self._most)])
        del self._in.data[: len(data)]
        return data

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self._out.broken:
            raise trio.BrokenResourceError("reset")
        if self._out.ended:
            raise trio.ClosedResourceError("closed")
        self._out.data += data
        self.written += len(data)
        self._out.tell()

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()
        self._out.ended = True
        self._out.tell()

    async def reset(self) -> None:
        await trio.lowlevel.checkpoint()
        for pipe in (self._in, self._out):
            pipe.broken = True
            pipe.tell()

    def on_end(self, call: Callable[[], object] | None) -> None:
        self._in.on_end = call
        self._in.tell()

    @property
    def unread(self) -> int:
        """Bytes that came and were not read."""
        return len(self._in.data)


def stream_pair(most: int = 1 << 20) -> tuple[MemoryStream, MemoryStream]:
    """Two ends: what one writes the other reads."""
    there, back = _Pipe(), _Pipe()
    return MemoryStream(back, there, most), MemoryStream(there, back, most)


def channel_pair(most: int = 1 << 20) -> tuple[Channel, Channel]:
    """Two channels on one pair; the peers are called left and right."""
    left, right = stream_pair(most)
    return Channel(left, "right"), Channel(right, "left")
