"""One stream of yamux, as tasks use it. It asks its connection to send, which never waits."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import trio
from libp2p.abc import IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamClosed, MuxedStreamEOF, MuxedStreamReset

from .. import bounds
from .windows import Flow

if TYPE_CHECKING:
    from .connection import Yamux


class YamuxStream(IMuxedStream):
    """One stream. Any number of tasks may use it; each `write` stays in one piece."""

    muxed_conn: Yamux

    def __init__(self, connection: Yamux, flow: Flow) -> None:
        self.muxed_conn, self._flow = connection, flow
        self._news, self._turn = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
        self._writing = False
        self._on_end: Callable[[], object] | None = None
        flow.wake = self._news.unpark_all

    @property
    def stream_id(self) -> int:
        """The number of the stream on its connection: odd when the side that dialled opened it."""
        return self._flow.number

    @property
    def resting(self) -> bool:
        """Whether both directions are open and nothing unread has come, as far as this side knows."""
        return self._flow.resting

    def on_end(self, call: Callable[[], object] | None) -> None:
        """Have this called as soon as the peer has ended its direction, or the stream was reset: now, where that is so.

        None takes it back. It must neither wait nor raise.
        """
        self._on_end = call
        self._flow.wake = self._news.unpark_all if call is None else self._look
        self._look()

    def _look(self) -> None:
        self._news.unpark_all()
        if (self._flow.ended_in or self._flow.reset) and (call := self._on_end) is not None:
            self._on_end = None
            call()

    async def read(self, n: int | None = None) -> bytes:
        """One to `n` bytes, all that is there when `n` is None or negative; nothing is lost to a cancellation.

        MuxedStreamEOF at the peer's end of the stream, MuxedStreamReset when it was reset or the connection is gone.
        """
        flow, limit = self._flow, bounds.WINDOW if n is None or n < 0 else n
        if limit == 0 or flow.inbox.size or flow.reset or flow.ended_in:
            await trio.lowlevel.checkpoint()
        while limit:
            if data := self.muxed_conn.take(flow, limit):
                return data
            if flow.ended_in:
                raise MuxedStreamEOF("the peer ended the stream")
            if flow.reset:
                raise MuxedStreamReset("the stream was reset")
            flow.readers += 1
            try:
                await self._news.park()
            finally:
                flow.readers -= 1
        return b""

    async def read_or_end(self, n: int) -> bytes:
        """As `read`, with b"" at the peer's end of the stream."""
        try:
            return await self.read(n)
        except MuxedStreamEOF:
            return b""

    def keep_window(self, most: int) -> None:
        """Let the peer have no more than `most` bytes on their way and unread: what waits here is our memory."""
        self._flow.inbox.most = most

    def push(self, data: memoryview) -> int:
        """Send now what can be sent without waiting; how many bytes that was. Raises as `write`."""
        self._check()
        sent, size = 0, 1
        while size and sent < len(data) and not self._writing and not self.muxed_conn.holds_up(len(data) - sent):
            size = self.muxed_conn.put(self._flow, data[sent:])
            sent += size
        return sent

    async def pushable(self) -> None:
        """Wait until `push` may send something; look again afterwards."""
        self._check()
        if self._writing:
            await self._turn.park()
        elif self.muxed_conn.holds_up(bounds.SEND_QUEUE):
            await self.muxed_conn.room()
        else:
            await self._news.park()

    async def write(self, data: bytes) -> None:
        """Send all of `data`; cancelled in between, some of it is sent and some is not: reset the stream then.

        MuxedStreamClosed after `close`, MuxedStreamReset when it was reset or the connection is gone.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._writing:
            await self._turn.park()
        self._writing = True
        try:
            await self._write(memoryview(data).cast("B"))
        finally:
            self._writing = False
            self._turn.unpark()

    async def _write(self, data: memoryview) -> None:
        connection, flow = self.muxed_conn, self._flow
        self._check()
        while data:
            self._check()
            if connection.holds_up(len(data)):
                await connection.room()
            elif size := connection.put(flow, data):
                data = data[size:]
                if data:
                    await trio.lowlevel.checkpoint()
            else:
                await self._news.park()
        # All is sent: no cancellation may say that it was not.
        await trio.lowlevel.cancel_shielded_checkpoint()

    def _check(self) -> None:
        if self._flow.reset:
            raise MuxedStreamReset("the stream was reset")
        if self._flow.ended_out:
            raise MuxedStreamClosed("the stream was closed for writing")

    async def close(self) -> None:
        """End our direction; the peer's stays open. What was written still arrives."""
        self.muxed_conn.finish(self._flow)
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """End both directions at once; done even when this very call is cancelled."""
        self.muxed_conn.cut(self._flow)
        await trio.lowlevel.checkpoint()

    def set_deadline(self, ttl: int) -> None:
        """Yamux has no deadlines: use a trio cancel scope."""
        raise NotImplementedError("yamux streams have no deadline; use a trio cancel scope")

    def get_remote_address(self) -> tuple[str, int] | None:
        """The peer's host and port."""
        return self.muxed_conn.get_remote_address()

    async def __aenter__(self) -> YamuxStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
