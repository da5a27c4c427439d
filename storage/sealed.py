"""A blob as a sealed file in memory: what a sandboxed worker is given instead of access to the store.

Every chunk is checked while it is copied, and the kernel's seals then hold the content still: neither the worker nor
we can change it, so what was checked is what runs. Source: memfd_create(2), fcntl(2) F_ADD_SEALS.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from wire.cid import to_cid

from .blobs import Blobs
from .errors import StoreDamaged, StoreError

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def open_sealed(blobs: Blobs, blob: bytes) -> int:
    """A file descriptor of the blob's content, read-only for ever, at offset 0; the caller closes it. Blocks.

    StoreError when the blob is not all here or does not fit in memory; StoreDamaged when a chunk is found damaged.
    """
    outline = blobs.outline(blob)
    if outline is None:
        raise StoreError(f"The blob {to_cid(blob)} is not in the store. Pull its model first.")
    if missing := blobs.missing(outline):
        raise StoreError(
            f"The blob {to_cid(blob)} lacks {len(missing)} of its {outline.count} chunks. Pull its model again."
        )
    if (room := _memory_available()) is not None and outline.size > room:
        raise StoreError(
            f"The blob {to_cid(blob)} needs {outline.size >> 20} MiB of memory and {room >> 20} MiB are available. "
            "Stop other programs, or use a larger machine."
        )
    fd = os.memfd_create("hallmark-blob", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for index in range(outline.count):
            data = blobs.chunk(outline.chunk(index))
            if data is None:
                raise StoreDamaged(
                    f"Chunk {index} of the blob {to_cid(blob)} is damaged on disk. Pull its model again: only what is "
                    "damaged is fetched. If it happens twice, check the disk."
                )
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _memory_available() -> int | None:
    """Bytes that can be used without swapping; None where the kernel does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
