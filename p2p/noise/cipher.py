"""Noise's transport messages without I/O: what is sent becomes sealed messages, what comes becomes plain bytes.

Buffers are used again and again, because a fresh 64 KiB for every message doubles the cost of the cipher. Those that
hold nothing between two calls are shared by all connections of a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from libp2p.security.noise.exceptions import NoiseFailure

from .. import bounds

TAG = 16
MESSAGE = 0xFFFF  # bytes of the longest message, without the two of its length
PLAIN = MESSAGE - TAG  # bytes that it carries
JOINED = 16 * 1024  # bytes up to which parts are copied together, which costs less than one message more

Bytes = bytes | bytearray | memoryview

_LENGTH = Struct(">H")
_NONCE = Struct("<4xQ")
_LAST_NONCE = 2**64 - 2  # the last value is reserved (the noise specification, 5.1)


def nonce(count: int) -> bytes:
    """The nonce of message number `count` under one key."""
    if count > _LAST_NONCE:
        raise NoiseFailure("this key has sealed all the messages that it may")
    return _NONCE.pack(count)


class _Scratch(threading.local):
    """Room that is empty again when a call returns."""

    def __init__(self) -> None:
        self.plain = memoryview(bytearray(PLAIN))
        self.sealed = memoryview(bytearray(3 * (2 + MESSAGE)))


_scratch = _Scratch()
_scratch_over = _Scratch()  # for what is sealed again before it leaves: a relayed connection over a direct one


class Sealer:
    """One direction out. `over`: another sealer seals what comes out, while this one still holds it."""

    def __init__(self, key: bytes, *, over: bool = False) -> None:
        self._cipher, self._count = ChaCha20Poly1305(key), 0
        self._scratch = _scratch_over if over else _scratch

    def seal(self, parts: Sequence[Bytes]) -> Iterator[memoryview]:
        """The parts, one after the other, as sealed messages with their lengths.

        Each view that comes out is good only until the next is asked for. Ask for all: a message left unsent leaves
        the peer at another nonce.
        """
        sealed, at, waiting = self._scratch.sealed, 0, bytearray()
        pieces: list[Bytes] = []
        for part in parts:
            if len(waiting) + len(part) <= JOINED:
                waiting += part
                continue
            if waiting:
                pieces.append(waiting)
                waiting = bytearray()
            if len(part) <= JOINED:
                waiting += part
                continue
            view = memoryview(part)
            pieces += [view[start : start + PLAIN] for start in range(0, len(view), PLAIN)]
        if waiting:
            pieces.append(waiting)
        for piece in pieces:
            size = len(piece) + TAG
            if at + 2 + size > len(sealed):
                yield sealed[:at]
                at = 0
            _LENGTH.pack_into(sealed, at, size)
            at += 2
            self._cipher.encrypt_into(nonce(self._count), piece, None, sealed[at : at + size])
            self._count += 1
            at += size
        if at:
            yield sealed[:at]


class Opener:
    """One direction in: fill `space()`, say how much with `filled()`, then take what `opened()` gives."""

    def __init__(self, key: bytes) -> None:
        self._cipher, self._count = ChaCha20Poly1305(key), 0
        self._view = memoryview(bytearray(bounds.RECEIVE_LEAST))
        self._start = self._end = 0
        self._ample = False  # whether the last read took all the room there was

    def space(self) -> memoryview:
        """Room for the next bytes from the peer, never empty. It grows with the traffic, up to a bound."""
        size = self._end - self._start
        need = 2 + MESSAGE if self._ample else 2 * size
        if need >= len(self._view) and len(self._view) < bounds.RECEIVE_MOST:
            wider = memoryview(bytearray(min(bounds.RECEIVE_MOST, max(4 * len(self._view), need))))
            wider[:size] = self._view[self._start : self._end]
            self._view = wider
        elif self._start:
            self._view[:size] = self._view[self._start : self._end]
        self._start, self._end = 0, size
        return self._view[size:]

    def filled(self, size: int) -> None:
        """`size` bytes were written into the space."""
        self._end += size
        self._ample = self._end == len(self._view)

    @property
    def ample(self) -> bool:
        """Whether more is likely to be waiting in the socket."""
        return self._ample

    def opened(self) -> Iterator[memoryview]:
        """What each whole message carries; a view is good only until the next is asked for.

        NoiseFailure for one that the peer did not seal, or that comes twice, late or changed.
        """
        plain = _scratch.plain
        while self._end - self._start >= 2:
            (size,) = _LENGTH.unpack_from(self._view, self._start)
            if size < TAG:
                raise NoiseFailure("the peer sent a message too short to be sealed")
            begin = self._start + 2
            if begin + size > self._end:
                return
            try:
                self._cipher.decrypt_into(
                    nonce(self._count), self._view[begin : begin + size], None, plain[: size - TAG]
                )
            except InvalidTag as error:
                raise NoiseFailure("the peer sent a message that was changed on the way, or sent twice") from error
            self._count += 1
            self._start = begin + size
            yield plain[: size - TAG]
