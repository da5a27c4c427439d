"""One exchange on one stream: records, errors and runs of raw bytes, over anything that reads and writes bytes.

`Channel` stands under every protocol. It keeps one promise: whatever the other side sends, a call returns a checked
result or raises `RemoteError`, within its time and within bounded memory.
"""

# ruff: noqa: ASYNC109 — a timeout here has a meaning of its own: it becomes a RemoteError
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import UnionType
from typing import Any, Protocol, TypeVar, cast, overload

import msgspec
import trio

from wire.bounds import MAX_RECORD, MAX_TENSOR_BYTES, MAX_TENSORS
from wire.canonical import decode, encode
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.frames import HEADER, Frame, FrameDecoder, Kind, error_frame, frame_header, read_error
from wire.pieces import Pieces
from wire.tensors import Tensor, TensorHeader

from . import bounds

R = TypeVar("R", bound=msgspec.Struct)


class ByteStream(Protocol):
    """A bidirectional run of bytes. A broken one raises `trio.BrokenResourceError` or `trio.ClosedResourceError`."""

    async def read(self, limit: int) -> bytes:
        """One to `limit` bytes; `b""` at the end."""

    async def write(self, data: bytes) -> None:
        """All of `data`, or an error."""

    async def close(self) -> None:
        """Nothing more will be written; what was written still arrives."""

    async def reset(self) -> None:
        """Both directions end now, and what is on the way may be lost."""

    def on_end(self, call: Callable[[], object] | None) -> None:
        """Call this as soon as the peer has ended its direction, or the stream is broken: now, where that is so.

        None takes it back. It is called between two awaits of another task: it must neither wait nor raise.
        """


class Channel:
    """Frames on a stream. Not for two tasks at once in one direction."""

    def __init__(self, stream: ByteStream, peer: str, version: int = 1) -> None:
        self.peer = peer  # the remote peer id, base58
        self.version = version  # of the protocol: the newest that both sides speak
        self.usable = True  # False once framing, link or time broke it
        self.error: RemoteError | None = None  # the last error the peer reported
        self.received = 0  # frames taken from the peer
        self._stream = stream
        self._decoder = FrameDecoder()
        # After an error the data of the failed exchange may still be on its way; it belongs to nobody.
        self._skip = 0

    async def send(self, record: msgspec.Struct, tensors: Sequence[Tensor] = ()) -> None:
        """One RECORD frame, then the raw bytes of the tensors that it announces, in order.

        What is small goes out in one write: each write costs both sides a frame of the muxer and of noise.
        """
        payload = encode(record)
        waiting: list[bytes | memoryview] = [frame_header(Kind.RECORD, len(payload)), payload]
        size = HEADER + len(payload)
        for tensor in tensors:
            view = memoryview(tensor.data).cast("B")
            for at in range(0, len(view), bounds.PIECE):
                piece = view[at : at + bounds.PIECE]
                if size + len(piece) > bounds.PIECE:
                    await self._write(b"".join(waiting))
                    waiting, size = [], 0
                waiting += (frame_header(Kind.DATA, len(piece)), piece)
                size += HEADER + len(piece)
        await self._write(b"".join(waiting))

    async def send_data(self, data: bytes | bytearray | memoryview) -> None:
        """The bytes in DATA frames; no frame for no bytes."""
        view = memoryview(data).cast("B")
        for at in range(0, len(view), bounds.PIECE):
            piece = view[at : at + bounds.PIECE]
            await self._write(b"".join((frame_header(Kind.DATA, len(piece)), piece)))

    async def send_error(self, error: RemoteError) -> None:
        """One ERROR frame. What the peer still sends for the failed exchange is skipped by the next `receive`."""
        self._skip = bounds.SKIPPED
        await self._write(error_frame(error))

    @overload
    async def receive(self, kind: type[R], *, timeout: float) -> R: ...
    @overload
    async def receive(self, kind: UnionType, *, timeout: float) -> Any: ...
    async def receive(self, kind: type[R] | UnionType, *, timeout: float) -> R | Any:
        """The next record, which must be a `kind` (a union of tagged records also works).

        RemoteError: what the peer reported, LINK_LOST at an end, TIMEOUT, BAD_FRAME for anything but a record,
        BAD_RECORD for a record that breaks a rule.
        """
        deadline = trio.current_time() + timeout
        frame = await self._frame(deadline, timeout)
        while frame.kind is Kind.DATA and self._skip:
            self._skip = max(0, self._skip - len(frame.payload))
            frame = await self._frame(deadline, timeout)
        if frame.kind is not Kind.RECORD:
            raise self._broken(ErrorCode.BAD_FRAME, "it sent raw data where a record is due")
        self._skip = 0
        try:
            return decode(frame.payload, cast(type[R], kind), limit=MAX_RECORD)
        except RecordError as error:
            raise RemoteError(ErrorCode.BAD_RECORD, f"{self._name}: {error}") from error

    async def receive_data(self, size: int, *, timeout: float) -> bytes:
        """Exactly `size` bytes of DATA frames. `timeout` bounds each silence; the whole has time for a slow link.

        Memory grows with what arrives, never with what was announced. RemoteError as for `receive`.
        """
        data, patience = Pieces(), timeout + size / bounds.MIN_RATE
        latest = trio.current_time() + patience
        while (left := size - data.size) > 0:
            silence = trio.current_time() + timeout
            due = (min(silence, latest), timeout if silence < latest else patience)
            kind, length = await self._header(*due, alone=left > bounds.PIECE)
            if kind is not Kind.DATA or not length:
                await self._frame(*due)  # which raises the error, if it is one
                raise self._broken(ErrorCode.BAD_FRAME, f"it sent a {kind.name} frame where data is due")
            if length > left:
                raise self._broken(ErrorCode.BAD_FRAME, f"it sent more than the {size} bytes that are due")
            self._decoder.take(HEADER)
            while length:  # what comes in a frame's middle needs no copy of its own
                piece = self._decoder.take(length) or await self._read(*due, most=min(length, bounds.READ))
                data.add(piece)
                length -= len(piece)
            self.received += 1
        return data.whole()

    async def receive_tensors(self, headers: Sequence[TensorHeader], *, timeout: float) -> list[Tensor]:
        """The tensors that `headers` announce, checked; nothing is read when the headers break a rule."""
        try:
            for header in headers:
                header.check()
            total = sum(header.binary_data_size for header in headers)
            if len(headers) > MAX_TENSORS or total > MAX_TENSOR_BYTES:
                raise RecordError(
                    f"{len(headers)} tensors of {total} bytes in all; the bounds are {MAX_TENSORS} and "
                    f"{MAX_TENSOR_BYTES}"
                )
        except RecordError as error:
            self._skip = bounds.SKIPPED
            raise RemoteError(ErrorCode.BAD_RECORD, f"{self._name}: {error}") from error
        tensors = [
            Tensor(header, await self.receive_data(header.binary_data_size, timeout=timeout)) for header in headers
        ]
        try:
            for tensor in tensors:
                await trio.lowlevel.checkpoint()  # a large one takes 30 ms to look at, and others wait
                tensor.check()
        except RecordError as error:
            raise RemoteError(ErrorCode.BAD_RECORD, f"{self._name}: {error}") from error
        return tensors

    async def waiting(self, *, timeout: float) -> bool:
        """Whether the peer begins something within `timeout`; False at an end or in silence. Raises nothing."""
        try:
            with trio.fail_after(timeout):
                while not self._decoder.pending:
                    data = await self._stream.read(bounds.READ)
                    if not data:
                        return False
                    self._decoder.feed(data)
        except (trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    @contextmanager
    def while_wanted(self) -> Iterator[None]:
        """Do the work of the block, which no longer reads, as long as the peer waits for what comes of it.

        The block is cancelled, and LINK_LOST raised, once the peer has ended or reset the stream or the link is gone.
        """
        with trio.CancelScope() as scope:
            self._stream.on_end(scope.cancel)
            try:
                yield
            finally:
                self._stream.on_end(None)
        if scope.cancelled_caught:
            raise self._broken(ErrorCode.LINK_LOST, "it does not wait for its answer any more")

    def finish(self) -> None:
        """Within `while_wanted`: what is left is done even when the peer waits for nothing more."""
        self._stream.on_end(None)

    @property
    def drained(self) -> bool:
        """Whether everything that came was also taken, so that the stream stands between two exchanges."""
        return self.usable and not self._decoder.pending

    async def close(self) -> None:
        """End our direction; never raises for a broken link, never waits long."""
        self.usable = False
        with trio.move_on_after(bounds.CLOSE_TIMEOUT), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.close()

    async def reset(self) -> None:
        """End both directions, even in a cancelled task."""
        self.usable = False
        deadline = trio.current_time() + bounds.CLOSE_TIMEOUT
        with (
            trio.CancelScope(shield=True, deadline=deadline),
            suppress(trio.BrokenResourceError, trio.ClosedResourceError),
        ):
            await self._stream.reset()

    async def dismiss(self) -> None:
        """Close, read to the peer's end so that our last words are not lost to a reset, then reset."""
        await self.close()
        with (
            trio.move_on_after(bounds.CLOSE_TIMEOUT),
            suppress(trio.BrokenResourceError, trio.ClosedResourceError),
        ):
            while await self._stream.read(bounds.READ):
                pass
        await self.reset()

    @property
    def _name(self) -> str:
        return f"peer …{self.peer[-8:]}"

    def _broken(self, code: ErrorCode, what: str) -> RemoteError:
        self.usable = False
        return RemoteError(code, f"{self._name}: {what}")

    async def _write(self, data: bytes) -> None:
        # A write that does not end well has left half a frame on the stream: nobody may use it again.
        whole, self.usable = self.usable, False
        try:
            with trio.fail_after(bounds.WRITE_TIMEOUT):
                await self._stream.write(data)
        except trio.TooSlowError:
            raise self._broken(ErrorCode.TIMEOUT, "it took none of our data in time") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._broken(ErrorCode.LINK_LOST, f"the link broke while sending ({error})") from error
        self.usable = whole

    async def _frame(self, deadline: float, timeout: float) -> Frame:
        """The next frame, by a deadline on trio's clock that was set so many seconds before it."""
        while True:
            try:
                frame = self._decoder.next()
            except RemoteError as error:
                raise self._broken(error.code, error.message) from None
            if frame is not None:
                self.received += 1
                if frame.kind is Kind.ERROR:
                    self.error = read_error(frame.payload)
                    raise self.error
                return frame
            self._decoder.feed(await self._read(deadline, timeout))

    async def _header(self, deadline: float, timeout: float, *, alone: bool) -> tuple[Kind, int]:
        """The kind and size of the next frame. `alone`: read no more than these; the rest is waited for elsewhere."""
        while True:
            try:
                header = self._decoder.header()
            except RemoteError as error:
                raise self._broken(error.code, error.message) from None
            if header is not None:
                return header
            most = self._decoder.wanted() if alone else bounds.READ
            self._decoder.feed(await self._read(deadline, timeout, most))

    async def _read(self, deadline: float, timeout: float, most: int = bounds.READ) -> bytes:
        """What comes next, one to `most` bytes."""
        try:
            with trio.fail_at(deadline):
                data = await self._stream.read(most)
        except trio.TooSlowError:
            raise self._broken(ErrorCode.TIMEOUT, f"no answer within {timeout:.0f} s") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._broken(ErrorCode.LINK_LOST, f"the link broke ({error})") from error
        except trio.Cancelled:
            self.usable = False  # cut off in the middle of a read
            raise
        if not data:
            where = " in the middle of a frame" if self._decoder.pending else ""
            raise self._broken(ErrorCode.LINK_LOST, f"it ended the stream{where}")
        return data
