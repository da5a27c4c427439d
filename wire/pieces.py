"""A run of bytes that comes in pieces and is joined once, at its end: growing it with every piece would copy it twice.

No I/O here. Pieces cost an object each, so that small ones are gathered: whoever sends a byte at a time gets no more
memory out of it than who sends the same bytes at once.
"""

from __future__ import annotations

SMALL, GATHERED = 4 * 1024, 64 * 1024  # bytes of a piece that is kept with others; of such a collection


class Pieces:
    """What has come so far."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes | bytearray] = []

    def add(self, data: bytes) -> None:
        """The next bytes."""
        self.size += len(data)
        last = self._parts[-1] if self._parts else None
        if len(data) >= SMALL or last is None:
            self._parts.append(data)
        elif isinstance(last, bytearray) and len(last) < GATHERED:
            last += data
        else:
            self._parts.append(bytearray(data))

    @property
    def parts(self) -> int:
        """How many objects hold them."""
        return len(self._parts)

    def whole(self) -> bytes:
        """All of them; nothing is left here."""
        parts, self._parts, self.size = self._parts, [], 0
        return b"".join(parts)
