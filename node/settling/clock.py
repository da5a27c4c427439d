"""What time it is on the chain, as far as one can know between two of its blocks. This machine's clock may be wrong."""

from __future__ import annotations

from collections.abc import Callable

from settle.chain import Block


class ChainClock:
    """The newest block's time, and what went by since it came. Where no block came since the start, the machine's own
    clock counts where it is ahead: a chain on which nothing happens makes no blocks."""

    def __init__(self, monotonic: Callable[[], float], wall_s: Callable[[], float]) -> None:
        self._monotonic, self._wall = monotonic, wall_s
        self._newest: Block | None = None
        self._at = 0.0
        self._moved = False

    def saw(self, block: Block) -> None:
        """This is the newest block."""
        if self._newest is None or block.number > self._newest.number:
            self._moved = self._newest is not None
            self._newest, self._at = block, self._monotonic()

    def now(self) -> int:
        """Seconds since 1970, as the chain counts them; 0 before any block was seen."""
        if self._newest is None:
            return 0
        said = int(self._newest.timestamp + self._monotonic() - self._at)
        return said if self._moved else max(said, int(self._wall()))
