"""Landlock: the kernel's own way to give up the file system, and with it TCP, abstract sockets and foreign signals.

A ruleset that handles everything and allows nothing, or no more than a card's driver cannot do without. Binds the
calling thread and those it starts later, so it is applied while there is one. Sources: landlock(7),
include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every machine type
_PATH_BENEATH = 1
_VERSION_FLAG = 1
_NET_BIND_CONNECT, _SCOPE_ABSTRACT_UNIX_AND_SIGNAL = 0b11, 0b11


READ_ONLY = 0b1101  # execute, read a file, list a folder
OWN_FOLDER = 0b1110 | 0b11 << 7 | 1 << 14  # write and read files, list folders, make both, truncate
DEVICE = 0b0110 | 1 << 15  # write, read, and ioctl where the kernel tells it apart
_OF_A_FILE = 0b0111 | 1 << 14 | 1 << 15  # the rights that a rule on something other than a folder may name


def _rights(abi: int) -> int:
    # execute, write, read, directories and makers: 13 of them; then refer (2), truncate (3), device ioctls (5)
    return (1 << (13 + (abi >= 2) + (abi >= 3) + (abi >= 5))) - 1


def give_up_files(libc: ctypes.CDLL, but: Iterable[tuple[Path, int]] = ()) -> int:
    """Forbid all file access from here on, `but` for these paths, each with its rights; those that are missing stay so.

    The kernel's Landlock version, 0 where it has none. Needs no_new_privs.
    """
    abi = int(libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION_FLAG))
    if abi < 1:
        return 0
    attributes = struct.pack("<Q", _rights(abi))
    if abi >= 4:
        attributes += struct.pack("<Q", _NET_BIND_CONNECT)
    if abi >= 6:
        attributes += struct.pack("<Q", _SCOPE_ABSTRACT_UNIX_AND_SIGNAL)
    ruleset = int(libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0))
    if ruleset < 0:
        return 0
    try:
        for path, rights in but:
            with suppress(FileNotFoundError):
                _allow(libc, ruleset, path, rights & _rights(abi))
        return abi if libc.syscall(_RESTRICT, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_A_FILE
        if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("<Qi", rights, fd), 0) < 0:
            raise OSError(ctypes.get_errno(), f"Landlock takes no rule for {path}")
    finally:
        os.close(fd)
