"""What a worker gives up before it reads the first byte of a stranger's model.

Each measure stands alone, so that a kernel which lacks one still has the others: the rlimits alone already leave no
new descriptor, no written byte and no memory beyond the budget. What was applied is reported by name.
Sources: prctl(2), setrlimit(2), capabilities(7), and the two modules beside this one.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from pathlib import Path

from .landlock import give_up_files
from .seccomp import forbid_calls

_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38
_CAPABILITIES_V3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however it ends. Call it first of all.

    The kernel watches the parent's *thread* that started us: see engine.process.
    """
    os.umask(0o077)
    _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(1)


def confine(memory: int) -> tuple[str, ...]:
    """Give up everything that executing a model does not need; the names of the measures that took hold.

    `memory` is how many bytes of address space may be added to what is in use now. There is no way back.
    """
    threads = len(list(Path("/proc/self/task").iterdir()))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    applied = []
    if _libc.prctl(_DUMPABLE, 0, 0, 0, 0) == 0:
        applied.append("no core, no tracing")
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        applied.append("no new privileges")
    if abi := give_up_files(_libc):
        applied.append(f"landlock {abi}" if threads == 1 else f"landlock {abi} on one of {threads} threads")
    if _drop_capabilities():
        applied.append("no capabilities")
    limits = {
        "no core file": (resource.RLIMIT_CORE, 0),
        "no file writes": (resource.RLIMIT_FSIZE, 0),
        "memory limit": (resource.RLIMIT_AS, pages * resource.getpagesize() + memory),
        "no new descriptors": (resource.RLIMIT_NOFILE, 0),
    }
    for name, (limit, value) in limits.items():
        resource.setrlimit(limit, (value, value))
        applied.append(name)
    if forbid_calls(_libc):  # last: it also forbids to change the limits
        applied.append("system-call filter")
    return tuple(applied)


def _drop_capabilities() -> bool:
    header = struct.pack("<Ii", _CAPABILITIES_V3, 0)
    return bool(_libc.capset(header, bytes(24)) == 0)
