"""A run of bytes that comes in pieces and is one object at its end.

No I/O here. The pieces are written into one buffer as they come, which at no time takes more than an eighth above what
came: to keep them and join them at the end takes twice that, and memory that a process must first ask the system for
costs more than the bytes in it.
"""

from __future__ import annotations

from io import SEEK_END, BytesIO


class Pieces:
    """What has come so far."""

    def __init__(self) -> None:
        self.size = 0
        self._buffer = BytesIO()

    def add(self, data: bytes) -> None:
        """The next bytes."""
        if self.size:
            self._buffer.write(data)
        else:  # it may be all there is: that is not copied
            self._buffer = BytesIO(data)
            self._buffer.seek(0, SEEK_END)
        self.size += len(data)

    def whole(self) -> bytes:
        """All of them; nothing is left here."""
        data, self._buffer, self.size = self._buffer.getvalue(), BytesIO(), 0
        return data
