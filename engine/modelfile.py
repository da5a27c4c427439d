"""A model's bytes as a file descriptor that nobody can write to: how they reach a worker without a file system.

Source: memfd_create(2), fcntl(2) on file sealing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable

from .bounds import MAX_MODEL
from .errors import ModelRefused

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


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


def model_size(fd: int) -> int:
    """How many bytes `fd` holds; ModelRefused over the bound, ValueError when a worker could write to it."""
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError:  # not a memfd
            seals = 0
        if not seals & fcntl.F_SEAL_WRITE:
            raise ValueError("a model's descriptor must be open for reading only, or sealed: see engine.sealed")
    size = os.fstat(fd).st_size
    if size > MAX_MODEL:
        raise ModelRefused(f"the model has {size} bytes, the most an ONNX file can have is {MAX_MODEL}; split it")
    return size
