"""Large tensors on their way to a worker and back: in memory that both have mapped, not through their socket.

A socket takes 200 KiB at a time, and each time one side waits for the other. The memory has two halves, one for inputs
and one for outputs, each with room for all that one message may announce; pages are taken as they are written. It is
sealed at its size, or else a worker could shrink it, and the node would die of a look at it. What a worker leaves there
it can change at any time, so the node copies it out before it looks.

No trio and no numpy: both sides use it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import IntEnum

from wire.bounds import MAX_TENSOR_BYTES, MAX_TENSORS, MIB
from wire.tensors import Tensor, TensorHeader

from .bounds import SHARED_FROM, SHARED_KEPT
from .errors import EngineError

ALIGNED = 64  # bytes: what vector instructions like
HALF = MAX_TENSOR_BYTES + mmap.PAGESIZE * -(-MAX_TENSORS * ALIGNED // mmap.PAGESIZE)
_PIECE = 8 * MIB
_SEALS = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Half(IntEnum):
    """Which half."""

    INPUTS = 0
    OUTPUTS = 1


def is_large(tensors: Sequence[Tensor]) -> bool:
    """Whether these go through the memory rather than the socket."""
    return sum(tensor.header.binary_data_size for tensor in tensors) >= SHARED_FROM


class Shared:
    """One worker's memory, as one of the two sides has it mapped."""

    def __init__(self, fd: int) -> None:
        """Takes the descriptor over."""
        self.fd = fd
        self._map = mmap.mmap(fd, 2 * HALF)
        self._beyond = False  # whether more was used than is kept

    def is_sent(self) -> None:
        """The worker has the descriptor now, and here the mapping is enough."""
        os.close(self.fd)
        self.fd = -1

    def close(self) -> None:
        """Nothing of it is left on this side."""
        if self.fd >= 0:
            self.is_sent()
        self._map.close()

    def put(self, half: Half, tensors: Sequence[Tensor]) -> None:
        """Write the tensors, one after the other; within `wire`'s bounds they have room."""
        for _ in self.putting(half, tensors):
            pass

    def putting(self, half: Half, tensors: Sequence[Tensor]) -> Iterator[None]:
        """As `put`, a piece at a time, so that a loop can do something else in between: new pages take their time."""
        places = self._places(half, [t.header for t in tensors])
        for tensor, at in zip(tensors, places, strict=True):
            data = memoryview(tensor.data).cast("B")
            for start in range(0, len(data), _PIECE):
                piece = data[start : start + _PIECE]
                self._map[at + start : at + start + len(piece)] = piece
                yield

    def views(self, half: Half, headers: Sequence[TensorHeader]) -> tuple[Tensor, ...]:
        """The tensors where they lie, unchecked: for a worker, to whom the node does nothing until it has answered."""
        memory = memoryview(self._map)
        places = zip(headers, self._places(half, headers), strict=True)
        return tuple(Tensor(h, memory[at : at + h.binary_data_size]) for h, at in places)

    def copies(self, half: Half, headers: Sequence[TensorHeader]) -> tuple[Tensor, ...]:
        """The tensors as they are now, unchecked: the most takes 40 ms to copy, and as long again to look at."""
        return tuple(Tensor(view.header, bytes(view.data)) for view in self.views(half, headers))

    def give_back(self) -> None:
        """Let the system have all pages but a few, which the next tensors then need not ask for."""
        if self._beyond:
            self._beyond = False
            for half in Half:
                self._map.madvise(mmap.MADV_REMOVE, half * HALF + SHARED_KEPT, HALF - SHARED_KEPT)

    def _places(self, half: Half, headers: Sequence[TensorHeader]) -> Iterator[int]:
        at = 0
        for header in headers:
            yield half * HALF + at
            at += -(-header.binary_data_size // ALIGNED) * ALIGNED
        self._beyond |= at > SHARED_KEPT


@contextmanager
def shared_memory() -> Iterator[Shared]:
    """New memory for one worker; EngineError where memory or descriptors ran out."""
    with ExitStack() as leaving:
        try:
            fd = os.memfd_create("tensors", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            leaving.callback(os.close, fd)
            os.ftruncate(fd, 2 * HALF)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            shared = Shared(fd)
        except OSError as error:
            raise EngineError(f"no memory could be shared with a worker ({error}); free some") from error
        leaving.pop_all()  # it is the memory's now
        leaving.callback(shared.close)
        yield shared
