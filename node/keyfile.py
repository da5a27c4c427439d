"""The node's key on disk: 32 bytes in hexadecimal, readable by its owner alone.

It holds no funds (those live on an owner account elsewhere); losing it loses the peer's identity and its standing.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from wire.errors import RecordError
from wire.keys import NodeKey

from .errors import CommandError, Exit


def create_key(path: Path) -> NodeKey:
    """A new key written to `path`, mode 0600; CommandError when the file exists already."""
    key = NodeKey.generate()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(Exit.CONFIG, f"{path} exists already", "Keep it: it is this peer's identity.") from None
    except OSError as error:
        raise CommandError(
            Exit.CONFIG, f"{path} cannot be written: {error.strerror}", "Make room, or allow it."
        ) from error
    with os.fdopen(handle, "w") as file:
        file.write(key.secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def load_key(path: Path) -> NodeKey:
    """The key in `path`; CommandError when it is missing, readable by others, or no key."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text().strip()
    except FileNotFoundError:
        raise CommandError(
            Exit.CONFIG,
            f"there is no peer in {path.parent} yet",
            "Run: hallmark init; and to join a network, before that: hallmark network add FILE|URL",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(Exit.CONFIG, f"{path} cannot be read: {error}", "Restore it from a copy.") from error
    if mode & 0o077:
        raise CommandError(
            Exit.CONFIG, f"{path} can be read by other users (mode {mode:04o})", f"Run: chmod 600 {path}"
        )
    try:
        secret = bytes.fromhex(text)
        if len(secret) != 32:  # the library would fill up a shorter one: a file cut short would be another peer
            raise ValueError("not 32 bytes")
        return NodeKey(secret)
    except (ValueError, RecordError):
        raise CommandError(Exit.CONFIG, f"{path} does not hold a key", "Restore it from a copy.") from None
