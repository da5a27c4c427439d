"""How bytes on a stream become frames: five bytes of header, then the payload. No I/O here.

    kind (1 byte) ‖ length (4 bytes, big-endian) ‖ payload

RECORD carries one canonical record, DATA a run of raw bytes (a tensor, a chunk), ERROR an `ErrorRecord`. A frame over
its kind's bound is refused when its header is seen, before its payload is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from .bounds import MAX_AFTER_MS, MAX_DATA, MAX_RECORD
from .canonical import Record, decode, encode
from .errors import ErrorCode, RecordError, RemoteError
from .text import MAX_LINE, one_line

HEADER = 5


class Kind(IntEnum):
    """What a frame carries."""

    RECORD = 1
    DATA = 2
    ERROR = 3


_BOUND = {Kind.RECORD: MAX_RECORD, Kind.DATA: MAX_DATA, Kind.ERROR: 4096}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it came."""

    kind: Kind
    payload: bytes


class ErrorRecord(Record):
    """The payload of an ERROR frame: a stable code, a sentence, whether another peer may do better, and after how many
    milliseconds this one expects to (0: it does not say)."""

    code: ErrorCode
    message: Annotated[str, Meta(max_length=MAX_LINE)]
    retry: bool
    after_ms: Annotated[int, Meta(ge=0, le=MAX_AFTER_MS)]


def frame_header(kind: Kind, size: int) -> bytes:
    """The five bytes before a payload of `size` bytes; ValueError over the bound (our own mistake)."""
    if size > _BOUND[kind]:
        raise ValueError(f"a {kind.name} frame of {size} bytes is over its bound of {_BOUND[kind]}")
    return bytes((kind,)) + size.to_bytes(4, "big")


def error_frame(error: RemoteError) -> bytes:
    """The whole ERROR frame that tells a peer about `error`; long sentences are cut, and long waits."""
    message, after_ms = one_line(error.message), min(error.after_ms, MAX_AFTER_MS)
    payload = encode(ErrorRecord(code=error.code, message=message, retry=error.retry, after_ms=after_ms))
    return frame_header(Kind.ERROR, len(payload)) + payload


def read_error(payload: bytes) -> RemoteError:
    """The error a peer reported; never raises for a peer's bytes."""
    try:
        record = decode(payload, ErrorRecord, limit=_BOUND[Kind.ERROR])
    except RecordError as error:
        return RemoteError(ErrorCode.BAD_RECORD, f"the peer sent an error that cannot be read: {error}"[:256])
    message = one_line(record.message)  # it will reach a terminal
    return RemoteError(record.code, message, retry=record.retry, after_ms=record.after_ms)


class FrameDecoder:
    """Bytes in, frames out. After a RemoteError the decoder is spent: the stream must be reset."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what the stream gave."""
        self._buffer += data

    def wanted(self) -> int:
        """How many more bytes the next frame needs at least (a hint for how much to read); 0 when one is complete."""
        if len(self._buffer) < HEADER:
            return HEADER - len(self._buffer)
        return max(0, HEADER + int.from_bytes(self._buffer[1:HEADER], "big") - len(self._buffer))

    def frames(self) -> Iterator[Frame]:
        """Every frame that is complete; RemoteError (BAD_FRAME) at the first that breaks a bound."""
        while (frame := self.next()) is not None:
            yield frame

    def next(self) -> Frame | None:
        """The next complete frame or None; RemoteError (BAD_FRAME) when the header breaks a bound."""
        header = self.header()
        if header is None or len(self._buffer) < HEADER + header[1]:
            return None
        self.take(HEADER)
        return Frame(header[0], self.take(header[1]))

    def header(self) -> tuple[Kind, int] | None:
        """The kind and the size of the next frame, once these have come; RemoteError (BAD_FRAME) over a bound.

        For who will not wait until a large frame is complete: `take` the header, and then what there is of its payload.
        """
        if len(self._buffer) < HEADER:
            return None
        try:
            kind = Kind(self._buffer[0])
        except ValueError:
            raise RemoteError(ErrorCode.BAD_FRAME, f"frame of unknown kind {self._buffer[0]}") from None
        size = int.from_bytes(self._buffer[1:HEADER], "big")
        if size > _BOUND[kind]:
            message = f"{kind.name} frame of {size} bytes, the bound is {_BOUND[kind]}"
            raise RemoteError(ErrorCode.BAD_FRAME, message)
        return kind, size

    def take(self, most: int) -> bytes:
        """Up to `most` bytes of what is held, off its front."""
        data = bytes(memoryview(self._buffer)[:most])
        del self._buffer[:most]
        return data

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not complete; at an end of stream anything but 0 is a truncation."""
        return len(self._buffer)
