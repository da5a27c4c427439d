"""A model's files as descriptors that nobody can write to: how they reach a worker without a file system.

Source: memfd_create(2), fcntl(2) on file sealing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from .bounds import MAX_MODEL
from .errors import ModelRefused
from .messages import Part

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model: its path relative to the graph's folder, and a descriptor for reading only, or sealed."""

    path: str
    fd: int


OpenModel = Callable[[], Sequence[ModelFile]]  # the graph first, then the files that it refers to


def sealed(pieces: Iterable[bytes]) -> int:
    """A new descriptor that holds the joined pieces, sealed against any change. The caller closes it.

    ModelRefused over `MAX_MODEL` bytes; OSError where memory or descriptors ran out.
    """
    fd = os.memfd_create("model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > MAX_MODEL:
                raise ModelRefused(f"the model is over {MAX_MODEL} bytes, the most an ONNX file can have; split it")
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:  # also when cancelled: the descriptor is ours until it is returned
        os.close(fd)
        raise
    return fd


@contextmanager
def closing(files: Sequence[ModelFile]) -> Iterator[ExitStack]:
    """Close all files in the end, or earlier with the stack's own `close`."""
    with ExitStack() as stack:
        for file in files:
            stack.callback(os.close, file.fd)
        yield stack


def parts_of(files: Sequence[ModelFile], memory: int) -> tuple[Part, ...]:
    """The files, the graph first, as a worker with so much memory is told of them.

    ModelRefused over a bound, ValueError when a worker could write to one.
    """
    parts = tuple(map(_part, files))
    if (size := parts[0].size) > MAX_MODEL:
        raise ModelRefused(f"the model has {size} bytes, the most an ONNX file can have is {MAX_MODEL}; split it")
    check_memory(sum(part.size for part in parts), memory)
    return parts


def check_memory(size: int, memory: int) -> None:
    """ModelRefused when files of `size` bytes can't be loaded by a worker that may have `memory` bytes."""
    if size > memory:
        raise ModelRefused(
            f"the model's files take {size} bytes, and a model may have {memory} bytes of memory here, its files "
            "counted; use a smaller one"
        )


def _part(file: ModelFile) -> Part:
    if fcntl.fcntl(file.fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
        try:
            seals = fcntl.fcntl(file.fd, fcntl.F_GET_SEALS)
        except OSError:  # not a memfd
            seals = 0
        if not seals & fcntl.F_SEAL_WRITE:
            raise ValueError("a model's descriptor must be open for reading only, or sealed: see engine.sealed")
    return Part(path=file.path, fd=file.fd, size=os.fstat(file.fd).st_size)
