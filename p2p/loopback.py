"""A stream to oneself: a peer that asks and also serves need not go through the network to be its own customer."""

from __future__ import annotations

import trio
from trio.testing import memory_stream_pair


class Loopback:
    """One end of a pair in memory, as `streams.ByteStream`: it buffers what one request may carry; no more comes."""

    def __init__(self, end: trio.StapledStream, other: trio.StapledStream) -> None:
        self._end, self._other = end, other

    async def read(self, limit: int) -> bytes:
        return bytes(await self._end.receive_some(limit))

    async def write(self, data: bytes) -> None:
        await self._end.send_all(data)

    async def close(self) -> None:
        await self._end.send_stream.aclose()

    async def reset(self) -> None:
        for end in (self._end, self._other):
            await end.aclose()


def loopback() -> tuple[Loopback, Loopback]:
    """Two ends: what one writes the other reads."""
    near, far = memory_stream_pair()
    return Loopback(near, far), Loopback(far, near)
