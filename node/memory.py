"""What large tensors took stays with the process, within a bound, for the next ones.

C's allocator gives memory back as soon as it can, and a page that the system has to give anew costs several times what
it takes to fill it: two tensors of 16 MiB are 8,192 of them.
"""

from __future__ import annotations

import ctypes

from .bounds import MEMORY_KEPT

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3)
_LARGEST = 32 << 20  # the most that glibc allows: what is larger is asked for, and given back, each time


def keep_memory() -> None:
    """Have the allocator keep so much that is free; that of another library than glibc stays as it is."""
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_TOP_PAD, MEMORY_KEPT)
        mallopt(_TRIM_THRESHOLD, 2 * MEMORY_KEPT)
        mallopt(_MMAP_THRESHOLD, _LARGEST)
