"""Landlock: the kernel's own way to give up the file system, and with it TCP, abstract sockets and foreign signals.

A ruleset that handles everything and allows nothing. Binds the calling thread and those it starts later, so it is
applied while there is one. Sources: landlock(7), include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE, _RESTRICT = 444, 446  # the same numbers on every machine type
_VERSION_FLAG = 1
_NET_BIND_CONNECT, _SCOPE_ABSTRACT_UNIX_AND_SIGNAL = 0b11, 0b11


def _rights(abi: int) -> int:
    # execute, write, read, directories and makers: 13 of them; then refer (2), truncate (3), device ioctls (5)
    return (1 << (13 + (abi >= 2) + (abi >= 3) + (abi >= 5))) - 1


def give_up_files(libc: ctypes.CDLL) -> int:
    """Forbid all file access from here on; the kernel's Landlock version, 0 where it has none. Needs no_new_privs."""
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
        return abi if libc.syscall(_RESTRICT, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)
