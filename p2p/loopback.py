"""A stream to oneself: a peer that asks and also serves need not go through the network to be its own customer."""

from __future__ import annotations

from collections.abc import Callable

import trio


class Loopback:
    """One end of a pair in memory, as `streams.ByteStream`: it buffers what one request may carry; no more comes."""

    def __init__(self, end: trio.StapledStream) -> None:
        self._end = end
        self._other: Loopback = self  # until `loopback` has both
        self._is_alone = False  # the other side writes nothing any more
        self._on_end: Callable[[], object] | None = None

    async def read(self, limit: int) -> bytes:
        return bytes(await self._end.receive_some(limit))

    async def write(self, data: bytes) -> None:
        await self._end.send_all(data)

    async def close(self) -> None:
        self._other._be_alone()
        await self._end.send_stream.aclose()

    async def reset(self) -> None:
        self._other._be_alone()
        for side in (self, self._other):
            await side._end.aclose()

    def on_end(self, call: Callable[[], object] | None) -> None:
        self._on_end = call
        if self._is_alone:
            self._be_alone()

    def _be_alone(self) -> None:
        self._is_alone = True
        if (call := self._on_end) is not None:
            self._on_end = None
            call()


def loopback() -> tuple[Loopback, Loopback]:
    """Two ends: what one writes the other reads."""
    from trio.testing import memory_stream_pair  # it loads pytest where that is installed, and few ask themselves

    near, far = map(Loopback, memory_stream_pair())
    near._other, far._other = far, near
    return near, far
