"""Messages with their tensors, as bytes on the socket pair: one RECORD frame, then DATA frames. No I/O here.

Both ends use it. A worker that a model took over is a stranger, so its bytes give a parcel or a RecordError or
RemoteError like any peer's, and at most one parcel's bytes are ever held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from wire.bounds import MAX_DATA, MAX_TENSOR_BYTES
from wire.canonical import Record, decode, encode
from wire.errors import RecordError
from wire.frames import Frame, FrameDecoder, Kind, frame_header
from wire.tensors import Data, Tensor, TensorHeader

from .messages import Ran, Run

M = TypeVar("M", bound=Record)
SMALL = 64 * 1024  # up to here one copy is cheaper than one more system call


def pack(message: Record, tensors: Sequence[Tensor] = ()) -> list[bytes | memoryview]:
    """The parcel as buffers to send in order; a small one is a single buffer, a large tensor is not copied."""
    body = encode(message)
    parts: list[bytes | memoryview] = [frame_header(Kind.RECORD, len(body)), body]
    for tensor in tensors:
        view = memoryview(tensor.data).cast("B")
        for at in range(0, len(view), MAX_DATA):
            piece = view[at : at + MAX_DATA]
            parts += (frame_header(Kind.DATA, len(piece)), piece)
    if sum(map(len, parts)) <= SMALL:
        return [b"".join(parts)]
    return parts


@dataclass(frozen=True, slots=True)
class Parcel(Generic[M]):
    """One message and the tensors that its headers announce, but for those in shared memory."""

    message: M
    tensors: tuple[Tensor, ...]


class ParcelDecoder(Generic[M]):
    """Bytes in, parcels out. `kind` is the union of messages that may come. After an error it is spent."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._frames = FrameDecoder()
        self._message: M | None = None
        self._headers: tuple[TensorHeader, ...] = ()
        self._tensors: list[Tensor] = []
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what the socket gave."""
        self._frames.feed(data)

    def wanted(self) -> int:
        """How many more bytes the next frame needs at least."""
        return self._frames.wanted()

    def next(self) -> Parcel[M] | None:
        """The next complete parcel or None; RecordError or RemoteError when its bytes break a rule."""
        while True:
            self._finish_tensors()
            if self._message is not None and len(self._tensors) == len(self._headers):
                parcel = Parcel(self._message, tuple(self._tensors))
                self._message, self._headers, self._tensors = None, (), []
                return parcel
            frame = self._frames.next()
            if frame is None:
                return None
            if self._message is None:
                self._open(frame)
            else:
                self._append(frame)

    def _open(self, frame: Frame) -> None:
        if frame.kind is not Kind.RECORD:
            raise RecordError(f"a {frame.kind.name} frame came where a message must stand")
        message: M = decode(frame.payload, self._kind)
        headers = message.inputs if isinstance(message, Run) else message.outputs if isinstance(message, Ran) else ()
        elsewhere = isinstance(message, Run | Ran) and message.shared
        for header in headers:
            header.check()
        if (total := sum(h.binary_data_size for h in headers)) > MAX_TENSOR_BYTES:
            raise RecordError(f"tensors of {total} bytes in all, the bound is {MAX_TENSOR_BYTES}")
        self._message, self._headers = message, () if elsewhere else headers

    def _append(self, frame: Frame) -> None:
        left = self._headers[len(self._tensors)].binary_data_size - len(self._bytes)
        if frame.kind is not Kind.DATA or not 0 < len(frame.payload) <= left:
            raise RecordError(f"a {frame.kind.name} frame of {len(frame.payload)} bytes came, a tensor lacks {left}")
        if not self._bytes and len(frame.payload) == left:
            self._take(frame.payload)  # whole in one frame: no copy
        else:
            self._bytes += frame.payload

    def _finish_tensors(self) -> None:
        while (at := len(self._tensors)) < len(self._headers):
            if len(self._bytes) < self._headers[at].binary_data_size:
                return
            data, self._bytes = self._bytes, bytearray()
            self._take(data)

    def _take(self, data: Data) -> None:
        tensor = Tensor(self._headers[len(self._tensors)], data)
        tensor.check()
        self._tensors.append(tensor)
