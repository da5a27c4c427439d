"""RPCs in a stream of bytes: a length as a varint, then so many bytes. A machine without I/O."""

from __future__ import annotations

from wire.errors import RecordError

_VARINT = 4  # bytes of a length at most: far beyond the bound on an RPC


def framed(rpc: bytes) -> bytes:
    """An RPC with its length before it."""
    return varint(len(rpc)) + rpc


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


class Frames:
    """Takes bytes as they come, and gives whole RPCs."""

    def __init__(self, most: int) -> None:
        """`most` bytes are in one RPC."""
        self._most, self._held = most, bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The RPCs that are complete now. RecordError when the stream is none of RPCs: it is of no use any more."""
        self._held += data
        found, start = [], 0
        while (head := self._length(start)) is not None:
            length, begin = head
            if len(self._held) - begin < length:
                break
            found.append(bytes(self._held[begin : begin + length]))
            start = begin + length
        del self._held[:start]
        return found

    def _length(self, start: int) -> tuple[int, int] | None:
        """The length that stands at `start` and where what it counts begins; None while it is not whole."""
        length = 0
        for place, byte in enumerate(self._held[start : start + _VARINT]):
            length |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if length > self._most:
                    raise RecordError(f"a gossip RPC of {length} bytes, the bound is {self._most}")
                return length, start + place + 1
        if len(self._held) - start >= _VARINT:
            raise RecordError("a gossip RPC of a length beyond all bounds")
        return None
