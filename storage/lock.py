"""One data directory, one process: an advisory lock that says who holds it.

The kernel drops the lock with the process that held it, however that ended, so a lock is never stale. The file stays
where it is: removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .errors import StoreBusy

_PID_DIGITS = 20


class DirectoryLock:
    """Holds `directory` for this process alone, from `acquire` to `release`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock at once; StoreBusy names the process that has it. OSError when the file can't be made."""
        fd = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            holder = os.pread(fd, _PID_DIGITS, 0).decode("ascii", "replace")
            os.close(fd)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise StoreBusy(
                f"{self._directory} is in use by {who}. Stop that one first, or choose another data directory."
            ) from None
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
