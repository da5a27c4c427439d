"""Idle streams kept open for the next exchange, because a new one costs five times a round trip.

`Pool` is a machine without I/O: it says which stream to take and which to drop. `Replay` covers the one thing a pool
cannot know: that the stream it gave out died while it lay idle. What it says again may have been heard the first time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

import trio

from . import bounds
from .streams import ByteStream

S = TypeVar("S")


class Pool(Generic[S]):
    """Idle things by peer and protocol, the latest taken first; bounded in number and in idle time."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[tuple[float, S]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def take(self, peer: str, protocol: str) -> S | None:
        """The stream that was put last, or None."""
        entries = self._idle.get((peer, protocol))
        if not entries:
            return None
        _, stream = entries.pop()
        self._count -= 1
        if not entries:
            del self._idle[peer, protocol]
        return stream

    def put(self, peer: str, protocol: str, stream: S, now: float) -> S | None:
        """Keep `stream`; what comes back (it, or an older one) is over a bound and is the caller's to end."""
        if self._count >= bounds.POOL:
            return stream
        entries = self._idle.setdefault((peer, protocol), [])
        entries.append((now, stream))
        if len(entries) > bounds.POOL_PER_PROTOCOL:
            return entries.pop(0)[1]
        self._count += 1
        return None

    def expire(self, now: float) -> list[S]:
        """Take out those idle for too long; the caller ends them."""
        old: list[S] = []
        for key, entries in list(self._idle.items()):
            fresh = [(then, s) for then, s in entries if now - then < bounds.POOL_IDLE]
            old += [s for then, s in entries if now - then >= bounds.POOL_IDLE]
            if fresh:
                self._idle[key] = fresh
            else:
                del self._idle[key]
        self._count -= len(old)
        return old


class Replay:
    """A pooled stream which, found dead before a byte came back, is replaced once by a fresh one.

    What was written until then is kept (within a bound) and said again there. After the first byte read, or past the
    bound, it is a plain stream.

    Only for exchanges that change nothing when they come twice, as questions for a blob or for a vote do. A stream that
    breaks before a byte came back may have died while it lay idle, or in the middle of the peer's work: an end that is
    told at once may come from a relay that has passed the request on, and one that is noticed after seconds says
    nothing at all. Whoever must not ask twice (`Host.exchange`'s `once`) hears LINK_LOST, and decides for itself.
    """

    def __init__(self, stream: ByteStream, fresh: Callable[[], Awaitable[ByteStream]]) -> None:
        self.stream = stream
        self._fresh: Callable[[], Awaitable[ByteStream]] | None = fresh
        self._said: list[bytes] = []
        self._size = 0

    async def read(self, limit: int) -> bytes:
        try:
            data = await self.stream.read(limit)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            if not await self._replace():
                raise
            return await self.stream.read(limit)
        if not data and self._said and await self._replace():
            return await self.stream.read(limit)
        self._settle()
        return data

    async def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > bounds.REPLAY:
            self._settle()
        try:
            await self.stream.write(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            if not await self._replace():
                raise
            await self.stream.write(data)
        if self._fresh is not None:
            self._said.append(data)

    async def close(self) -> None:
        await self.stream.close()

    async def reset(self) -> None:
        await self.stream.reset()

    def on_end(self, call: Callable[[], object] | None) -> None:
        self.stream.on_end(call)

    def _settle(self) -> None:
        self._fresh = None
        self._said.clear()

    async def _replace(self) -> bool:
        fresh, said = self._fresh, tuple(self._said)
        self._settle()
        if fresh is None:
            return False
        dead, self.stream = self.stream, await fresh()
        deadline = trio.current_time() + bounds.CLOSE_TIMEOUT
        with (
            trio.CancelScope(shield=True, deadline=deadline),
            suppress(trio.BrokenResourceError, trio.ClosedResourceError),
        ):
            await dead.reset()
        for data in said:
            await self.stream.write(data)
        return True
