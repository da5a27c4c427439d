"""Yamux's frames without I/O: bytes in, headers and pieces of bodies out (hashicorp's yamux specification, version 0).

A body is never gathered here. It comes out in the pieces in which it came in, so that a frame costs no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

_HEADER = Struct(">BBHII")
HEADER = _HEADER.size


class ProtocolError(Exception):
    """The peer broke a rule of yamux; the connection ends with a GOAWAY."""


class Kind(IntEnum):
    """What a frame is; the length field means something else in each."""

    DATA = 0  # the length of the body
    WINDOW_UPDATE = 1  # bytes more that may be sent
    PING = 2  # an opaque value
    GO_AWAY = 3  # a reason


class Flag:
    """What a frame says about its stream (or its ping) besides. Plain numbers: an enum's `&` costs microseconds."""

    NONE = 0
    SYN = 1
    ACK = 2
    FIN = 4
    RST = 8


class Header(NamedTuple):
    """The head of a frame."""

    kind: Kind
    flags: int
    stream: int
    length: int

    def encode(self) -> bytes:
        """The twelve bytes."""
        return _HEADER.pack(0, self.kind, self.flags, self.stream, self.length)


class Piece(NamedTuple):
    """Some of the body of the DATA frame whose header came last. The view is the caller's, and not kept."""

    data: memoryview
    last: bool


_KINDS = tuple(Kind)


class FrameReader:
    """Cuts a run of bytes into frames, however it is cut up itself."""

    def __init__(self) -> None:
        self._head = bytearray()  # of a header that has not come whole
        self._left = 0  # of the body under way
        self.taken = 0  # bytes of what was fed last that have come out

    def feed(self, data: memoryview) -> Iterator[Header | Piece]:
        """What is whole so far; ProtocolError for an unknown version or kind, after which nothing more can be read."""
        at, size = 0, len(data)
        while at < size:
            if self._left:
                begin, at = at, min(size, at + self._left)
                self._left -= at - begin
                self.taken = at
                yield Piece(data[begin:at], not self._left)
                continue
            if not self._head and size - at >= HEADER:
                header = _parse(data[at : at + HEADER])
                at += HEADER
            else:
                taken = data[at : at + HEADER - len(self._head)]
                self._head += taken
                at += len(taken)
                if len(self._head) < HEADER:
                    return
                header = _parse(self._head)
                self._head.clear()
            if header.kind is Kind.DATA:
                self._left = header.length
            self.taken = at
            yield header


def _parse(raw: bytes | bytearray | memoryview) -> Header:
    version, kind, flags, stream, length = _HEADER.unpack(raw)
    if version != 0 or kind >= len(_KINDS):
        raise ProtocolError(f"a frame of version {version} and kind {kind}, which yamux does not have")
    return Header(_KINDS[kind], flags, stream, length)
