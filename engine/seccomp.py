"""A system-call filter for the worker: no program, process or socket, no look into others, no limit raised.

x86-64 Linux only; elsewhere the other measures stand alone.

It forbids by name rather than allowing by name: what a numeric library calls changes with every release, what an
intruder needs does not. New descriptors are impossible anyway (the NOFILE limit), which closes the rest of the list.
Source: seccomp(2); system-call numbers from arch/x86/entry/syscalls/syscall_64.tbl.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Container

_ARCH_X86_64 = 0xC000003E
_X32 = 0x40000000  # the numbers of the x32 ABI begin here: the same calls by other names
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENT = 0, 4, (16, 24, 32)  # offsets in struct seccomp_data
_CLONE, _CLONE3, _CLONE_THREAD = 56, 435, 0x10000
_PRLIMIT = 302
_SYS_SECCOMP, _SET_MODE_FILTER, _TSYNC = 317, 1, 1

FORBIDDEN = {
    "execve": 59, "execveat": 322, "fork": 57, "vfork": 58, "socket": 41, "socketpair": 53, "kill": 62, "tkill": 200,
    "rt_sigqueueinfo": 129, "pidfd_send_signal": 424, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
    "pidfd_open": 434, "pidfd_getfd": 438, "io_uring_setup": 425, "bpf": 321, "perf_event_open": 298,
    "userfaultfd": 323, "unshare": 272, "setns": 308, "mount": 165, "add_key": 248, "request_key": 249, "keyctl": 250,
    "memfd_create": 319, "memfd_secret": 447, "personality": 135, "setrlimit": 160, "capset": 126,
    "open_by_handle_at": 304,
    # on paths, without a descriptor: Landlock knows no chmod, and not every kernel knows Landlock
    "unlink": 87, "unlinkat": 263, "rename": 82, "renameat": 264, "renameat2": 316, "mkdir": 83, "mkdirat": 258,
    "rmdir": 84, "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266, "mknod": 133, "mknodat": 259,
    "truncate": 76, "chmod": 90, "fchmodat": 268, "fchmodat2": 452, "chown": 92, "lchown": 94, "fchownat": 260,
    "utimensat": 280,
}  # fmt: skip


def _program(but: Container[str]) -> bytes:
    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("<HBBI", code, if_true, if_false, value)

    program = [
        step(_LOAD, _ARCH), step(_EQUAL, _ARCH_X86_64, 1, 0), step(_RETURN, _KILL),
        step(_LOAD, _NUMBER), step(_AT_LEAST, _X32, 0, 1), step(_RETURN, _EPERM),
        # clone3 hides its flags behind a pointer: as "not implemented" it makes libc fall back to clone
        step(_EQUAL, _CLONE3, 0, 1), step(_RETURN, _ENOSYS),
    ]  # fmt: skip
    for number in (number for name, number in FORBIDDEN.items() if name not in but):
        program += (step(_EQUAL, number, 0, 1), step(_RETURN, _EPERM))
    # a thread may start, a process may not
    program += (step(_EQUAL, _CLONE, 0, 4), step(_LOAD, _ARGUMENT[0]), step(_ANY_BIT, _CLONE_THREAD, 1, 0))
    program += (step(_RETURN, _EPERM), step(_RETURN, _ALLOW))
    # limits may be read (libc does), not set: the new ones' pointer, both halves of it, must be null
    program += (step(_EQUAL, _PRLIMIT, 0, 5), step(_LOAD, _ARGUMENT[2]), step(_EQUAL, 0, 0, 2))
    program += (step(_LOAD, _ARGUMENT[2] + 4), step(_EQUAL, 0, 1, 0), step(_RETURN, _EPERM))
    program.append(step(_RETURN, _ALLOW))
    return b"".join(program)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def forbid_calls(libc: ctypes.CDLL, but: Container[str] = ()) -> bool:
    """Install the filter in every thread, without the calls named in `but`; False where the kernel or the machine type
    has none of it."""
    if platform.machine() != "x86_64":
        return False
    steps = _program(but)
    program = _Program(len(steps) // 8, steps)
    return bool(libc.syscall(_SYS_SECCOMP, _SET_MODE_FILTER, _TSYNC, ctypes.byref(program)) == 0)
