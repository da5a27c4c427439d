"""The runtime's measurement: one hash over what is installed and running, taken by itself.

It covers every file of this program that Python imports (`.py`, `.so`, and the roots' `.pem`), by path and content; the
version of Python; and of every other distribution that is installed its name, its version and its RECORD, which lists
the hash of each of its files. It does not read those files again, nor Python's own, nor the system's: those are the
image's, and its measurement is the hardware's to take. A program that lies here is caught by that measurement alone.
"""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

from wire.cid import content_hash

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "node", "p2p", "storage", "verify", "wire")
_SUFFIXES = {".py", ".so", ".pem"}


def measure_runtime(root: Path = ROOT) -> bytes:
    """The measurement, 32 bytes. It reads some hundred files: call it in a thread, once."""
    lines = [f"python {sys.implementation.name} {sys.version}"]
    lines += [f"file {path} {content_hash((root / path).read_bytes()).hex()}" for path in _own(root)]
    lines += sorted(_installed())
    return content_hash("\n".join(["hallmark runtime 1", *lines]).encode())


def _own(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.suffix in _SUFFIXES and path.is_file()
    )


def _installed() -> set[str]:
    found = set()
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name and name.lower() != "hallmark":  # its files are read above, wherever they lie
            record = distribution.read_text("RECORD") or ""
            found.add(f"installed {name.lower()} {distribution.version} {content_hash(record.encode()).hex()}")
    return found
