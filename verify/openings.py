"""A look at what a verifier sealed: so that one that executed nothing has nothing to show.

Outputs are cut into blocks of 1 KiB, tensor by tensor (a tensor's last block may be short). A tree of hashes over all
of them gives one root, which the commitment binds before the verifier can see any other answer:

    leaf      hash(00 ‖ block)
    node      hash(01 ‖ left ‖ right); one that has no neighbour goes up as it is
    root      hash(02 ‖ number of blocks (8 bytes, big-endian) ‖ top), without a top where there is no block

Small outputs are opened whole. Of larger ones the block i is opened, i = keccak256(receipt digest ‖ the verifier's key)
modulo the number of blocks: when it sealed its outputs the verifier could not know which. What is opened by one that
accepts must lie as near to the provider's same block as the tolerance lets whole answers lie apart.

Only who accepts is compared. Who rejects says that the answers differ, and may have seen that in another block.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from functools import cached_property
from math import isfinite
from typing import Literal

from wire.cid import content_hash
from wire.eip712 import keccak256
from wire.tensors import ITEM_SIZE, Tensor
from wire.vote import BLOCK, WHOLE, Opening

from .bounds import LARGEST_AT_ONCE

_FLOATS = {"FP16": "e", "BF16": "f", "FP32": "f", "FP64": "d"}  # as struct reads them; BF16 once it is widened
_SIGNED: dict[int, Literal["h", "i", "q"]] = {2: "h", 4: "i", 8: "q"}
_UNSIGNED: dict[int, Literal["H", "I", "Q"]] = {2: "H", 4: "I", 8: "Q"}
if sys.byteorder != "little":
    raise ImportError("tensors are little-endian, and this reads them as the machine does")


class Outputs:
    """Tensors as blocks; what is computed of them is computed once."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        """RecordError when a tensor's bytes are not what its header says."""
        for tensor in tensors:
            tensor.check()
        self.tensors = tuple(tensors)
        self.size = sum(memoryview(t.data).nbytes for t in tensors)  # bytes
        self._largest: dict[int, float] = {}

    @cached_property
    def _where(self) -> tuple[tuple[int, int], ...]:
        """Of each block its tensor, and its first byte there."""
        sizes = enumerate(memoryview(t.data).nbytes for t in self.tensors)
        return tuple((i, at) for i, size in sizes for at in range(0, size, BLOCK))

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, place: int) -> bytes:
        tensor, at = self._where[place]
        return bytes(memoryview(self.tensors[tensor].data).cast("B")[at : at + BLOCK])

    @cached_property
    def _levels(self) -> list[list[bytes]]:
        """The tree from its leaves up to its top; nothing but an empty level where there is no block."""
        levels = [[content_hash(b"\0" + self[i]) for i in range(len(self))]]
        while len(levels[-1]) > 1:
            levels.append(_parents(levels[-1]))
        return levels

    @cached_property
    def root(self) -> bytes:
        """What a commitment binds, 32 bytes."""
        return _root(len(self), b"".join(self._levels[-1]))

    def opened(self, place: int) -> Opening:
        """All blocks when they are few, else the one at `place` with its path."""
        if self.size <= WHOLE:
            return Opening(count=len(self), blocks=tuple(self[i] for i in range(len(self))), path=())
        path, i = [], place
        for level in self._levels[:-1]:
            if i ^ 1 < len(level):
                path.append(level[i ^ 1])
            i //= 2
        return Opening(count=len(self), blocks=(self[place],), path=tuple(path))

    def block(self, place: int) -> tuple[Tensor, bytes]:
        """The block at `place`, and the tensor that it is of."""
        return self.tensors[self._where[place][0]], self[place]

    def measure(self) -> None:
        """Compute now what `largest` would compute when it is first asked: a second for 64 MiB."""
        for i, tensor in enumerate(self.tensors):
            if tensor.header.datatype in _FLOATS and tensor.data:
                self._largest[i] = _largest(tensor)

    def largest(self, place: int) -> float:
        """The largest |y| of the tensor that the block at `place` is of; Inf or NaN where it holds such."""
        index = self._where[place][0]
        if index not in self._largest:
            self._largest[index] = _largest(self.tensors[index])
        return self._largest[index]


def place_of(receipt: bytes, public: bytes, count: int) -> int:
    """Which of `count` blocks the verifier with this key opens to the receipt with this digest."""
    return int.from_bytes(keccak256(receipt + public), "big") % count if count else 0


def sealed_fault(root: bytes, opening: Opening, place: int) -> str | None:
    """Why this opening is none of the outputs that were sealed under `root`, or None."""
    if len(opening.blocks) == opening.count:
        if opening.path or sum(map(len, opening.blocks)) > WHOLE:
            return "it opens more than it should"
        level = [content_hash(b"\0" + block) for block in opening.blocks]
        while len(level) > 1:
            level = _parents(level)
        good = _root(opening.count, b"".join(level)) == root
    elif len(opening.blocks) == 1:
        good = _climbed(opening, place) == root
    else:
        return "it opens neither its whole outputs nor one block"
    return None if good else "what it opens is not what it sealed, or another block than was drawn"


def accepting_fault(opening: Opening, place: int, answer: Outputs, tolerance: float) -> str | None:
    """Why who opened this can't have accepted `answer`, the provider's outputs; None when it can."""
    whole = answer.size <= WHOLE
    if opening.count != len(answer) or len(opening.blocks) != (opening.count if whole else 1):
        return "it accepts outputs of another size than it opens"
    for i, own in zip(range(len(answer)) if whole else (place,), opening.blocks, strict=True):
        tensor, other = answer.block(i)
        if own == other and tensor.header.datatype not in _FLOATS:
            continue
        if len(own) != len(other) or tensor.header.datatype not in _FLOATS:
            return f"it accepts, and what it opens of {tensor.name} is another thing"
        if not _near(own, other, tensor.header.datatype, tolerance, answer.largest(i)):
            return f"it accepts, and what it opens of {tensor.name} is beyond the tolerance"
    return None


def _near(own: bytes, other: bytes, datatype: str, tolerance: float, largest: float) -> bool:
    """Whether all of a block lies within the tolerance. The honest measure is relative to the verifier's own largest
    value, of which a block tells nothing; the provider's is no smaller than 1 - tolerance times that."""
    if not isfinite(largest):
        return False
    most = tolerance * largest / (1 - tolerance) * (1 + 1e-12) if tolerance < 1 else float("inf")
    pairs = zip(_values(own, datatype), _values(other, datatype), strict=True)
    return all(isfinite(a) and abs(a - b) <= most for a, b in pairs)


def _values(block: bytes, datatype: str) -> tuple[float, ...]:
    if datatype == "BF16":  # the upper half of an FP32
        block = b"".join(b"\0\0" + block[i : i + 2] for i in range(0, len(block), 2))
    code = _FLOATS[datatype]
    return struct.unpack(f"<{len(block) // struct.calcsize(code)}{code}", block)


def _largest(tensor: Tensor) -> float:
    """The largest |y| of a float tensor, without numpy: bits of floats without their sign are ordered as their values
    are, NaN and Inf above all others."""
    size = ITEM_SIZE[tensor.header.datatype]
    view, sign, best = memoryview(tensor.data).cast("B"), 1 << 8 * size - 1, 0
    for at in range(0, len(view), LARGEST_AT_ONCE):  # so that another thread has its turn
        piece = view[at : at + LARGEST_AT_ONCE]
        best = max(best, max(piece.cast(_SIGNED[size])), max(piece.cast(_UNSIGNED[size])) & sign - 1)
    return _values(best.to_bytes(size, "little"), tensor.header.datatype)[0]


def _parents(level: Sequence[bytes]) -> list[bytes]:
    pairs = zip(level[::2], level[1::2], strict=False)
    return [content_hash(b"\1" + left + right) for left, right in pairs] + list(level[len(level) & ~1 :])


def _root(count: int, top: bytes) -> bytes:
    return content_hash(b"\2" + count.to_bytes(8, "big") + top)


def _climbed(opening: Opening, place: int) -> bytes | None:
    """The root above the block at `place`; None when the path is not as long as the tree is high."""
    node, width, left = content_hash(b"\0" + opening.blocks[0]), opening.count, list(opening.path)
    while width > 1:
        if place ^ 1 < width:
            if not left:
                return None
            neighbour = left.pop(0)
            node = content_hash(b"\1" + (neighbour + node if place & 1 else node + neighbour))
        place, width = place // 2, (width + 1) // 2
    return None if left else _root(opening.count, node)
