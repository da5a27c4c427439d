"""The empty folder that workers stand in, and the removal of those that killed processes left behind.

Whoever uses one holds a lock on it, which ends with its process however that ends, also in another container that
shares the place for temporary files. Only what is empty, ours, and locked by nobody is removed.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from .bounds import MAX_LEFT_BEHIND

PREFIX = "hallmark-work-"


@contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder, removed on leaving."""
    path, fd = _make()
    try:
        yield path
    finally:
        with suppress(OSError):  # somebody put something into it, or took it away
            path.rmdir()
        os.close(fd)


def remove_left_behind() -> None:
    """Remove the workplaces of processes that ended without doing so."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in islice((e for e in entries if e.name.startswith(PREFIX)), MAX_LEFT_BEHIND):
            with suppress(OSError):  # another user's, a link, in use, not empty, or gone by now
                fd = _open(entry.path)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if os.fstat(fd).st_uid == os.geteuid():
                        Path(entry.path).rmdir()
                finally:
                    os.close(fd)


def _make() -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        fd = -1
        try:
            fd = _open(path)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if path.stat().st_ino == os.fstat(fd).st_ino:
                return path, fd
        except FileNotFoundError:
            pass  # another process found it before it was locked, and took it for one left behind
        if fd >= 0:
            os.close(fd)


def _open(path: str | Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
