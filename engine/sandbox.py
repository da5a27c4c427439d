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
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from .bounds import CARD_DESCRIPTORS, FOLDER_DESCRIPTORS
from .cardfiles import card_files
from .landlock import OWN_FOLDER, give_up_files
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
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    applied = _close([])
    applied += _limit("memory limit", resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
    applied += _limit("no new descriptors", resource.RLIMIT_NOFILE, 0)
    return (*applied, *_seal())


def confine_beside_card(memory: int, open_card: Callable[[], None]) -> tuple[str, ...]:
    """As `confine`, for a process that uses a card; `open_card` opens it, and is called where that is still possible.

    What a card's driver needs is left: its files (see `cardfiles`), descriptors for them, and address space, of which
    it reserves more than the machine has memory. So `memory` bounds the private bytes that can be written to, which
    reservations are not; shared ones, which no model but only an intruder can ask for, the node watches (see
    `process`); and what the model may take of the card itself is its backend's to bound. The driver's own threads come
    after Landlock and so are bound by it.
    """
    applied = _close(card_files(), ", but for the card's files and libraries")
    open_card()
    pages = int(Path("/proc/self/statm").read_text().split()[5])  # writable and private, as RLIMIT_DATA counts
    applied += _limit("memory limit on data", resource.RLIMIT_DATA, pages * resource.getpagesize() + memory)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    few = min(highest + 1 + CARD_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    applied += _limit(f"at most {few} descriptors", resource.RLIMIT_NOFILE, few)
    return (*applied, *_seal())


def confine_to_folder(folder: Path, memory: int, disk: int, seconds: int) -> tuple[str, ...]:
    """As `confine`, for a program that works on files, which lie in `folder`: it can read, make and write those there,
    and make folders.

    A file may have up to `disk` bytes. `seconds` of processor time end the process.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    applied = _close([(folder, OWN_FOLDER)], ", but for its own folder")
    applied += _limit("memory limit", resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
    applied += _limit(f"at most {FOLDER_DESCRIPTORS} descriptors", resource.RLIMIT_NOFILE, FOLDER_DESCRIPTORS)
    applied += _limit(f"{seconds} s of processor time", resource.RLIMIT_CPU, seconds)
    return (*applied, *_seal(disk, ("mkdir",)))


def _close(but: Iterable[tuple[Path, int]], exception: str = "") -> list[str]:
    threads = len(list(Path("/proc/self/task").iterdir()))
    applied = []
    if _libc.prctl(_DUMPABLE, 0, 0, 0, 0) == 0:
        applied.append("no core, no tracing")
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        applied.append("no new privileges")
    if abi := give_up_files(_libc, but):
        applied.append(f"landlock {abi}{exception}" + (f" on one of {threads} threads" if threads > 1 else ""))
    return applied


def _seal(disk: int = 0, calls: Container[str] = ()) -> list[str]:
    applied = []
    if _drop_capabilities():
        applied.append("no capabilities")
    applied += _limit("no core file", resource.RLIMIT_CORE, 0)
    applied += _limit(f"files of {disk} bytes" if disk else "no file writes", resource.RLIMIT_FSIZE, disk)
    if forbid_calls(_libc, calls):  # last: it also forbids to change the limits
        applied.append("system-call filter")
    return applied


def _limit(name: str, limit: int, value: int) -> list[str]:
    resource.setrlimit(limit, (value, value))
    return [name]


def _drop_capabilities() -> bool:
    header = struct.pack("<Ii", _CAPABILITIES_V3, 0)
    return bool(_libc.capset(header, bytes(24)) == 0)
