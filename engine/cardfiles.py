"""The files that a card's driver and libraries open while they work: a worker beside a card keeps these, no others.

Nothing of it is anybody's data: devices, installed libraries, and what the kernel tells every process of itself and the
machine. The driver opens them when it likes (a library at a first use, a device again for every mapping), so they can
neither be listed as files nor opened beforehand. Sources: the open(2) calls of CUDA programs, the NVIDIA driver's
manual (device files), docs/attacks.md.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from .landlock import DEVICE, READ_ONLY

_DEVICES = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm*", "nvidia-caps/*", "nvidia-modeset", "dxg")  # the last: WSL
_PLAIN = ("/dev/null", "/dev/zero", "/dev/urandom")
_LIBRARIES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/cuda",
    "/usr/local/nvidia",
    "/opt/cuda",
    "/run/opengl-driver",
)
_TOLD = (
    "/etc/ld.so.cache", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/devices", "/proc/modules",
    "/proc/driver/nvidia", "/proc/sys/vm", "/sys/bus/pci", "/sys/devices", "/sys/module/nvidia",
)  # fmt: skip


def card_files() -> Iterator[tuple[Path, int]]:
    """Each path with its Landlock rights; a folder stands for all beneath it."""
    for pattern in _DEVICES:
        for path in Path("/dev").glob(pattern):
            yield path, DEVICE
    for name in _PLAIN:
        yield Path(name), DEVICE
    elsewhere = [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path.startswith("/")]
    python = {sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    for name in (*_LIBRARIES, *elsewhere, *_TOLD, *sorted(python)):
        yield Path(name), READ_ONLY


def has_card() -> bool:
    """Whether a driver has made a device file here; whether the card computes, only a probe tells."""
    return any(Path("/dev", name).exists() for name in ("nvidiactl", "dxg"))
