"""What a peer keeps on disk: a file is replaced whole or not at all, and as a rule its owner alone reads it."""

from __future__ import annotations

import os
from pathlib import Path

PUBLIC = 0o666  # less what the user's umask takes: for what is handed on


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Have `path` hold `data`, even if the machine loses power meanwhile. Blocks; OSError when it cannot be done."""
    fresh = path.with_name(path.name + ".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
