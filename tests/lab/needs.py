"""What this machine lacks for the laboratory, and how to get it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from .namespaces import Namespace

# Command: Debian's package.
_COMMANDS = {"ip": "iproute2", "nft": "nftables", "conntrack": "conntrack", "ping": "iputils-ping", "sysctl": "procps"}
_MAPPING = {"miniupnpd": "miniupnpd-nftables"}
_SBIN = ("/usr/sbin", "/sbin")


def missing() -> list[str]:
    """Why nothing at all can run here; empty when it can."""
    if sys.platform != "linux":
        return ["network namespaces, which only Linux has"]
    os.environ["PATH"] = os.pathsep.join(dict.fromkeys((*os.environ.get("PATH", "").split(os.pathsep), *_SBIN)))
    lacks = _packages(_COMMANDS)
    if os.geteuid():
        lacks.append("root: sudo make lab")
    if not Path("/dev/net/tun").exists():
        lacks.append("/dev/net/tun: sudo modprobe tun")
    if lacks:
        return lacks
    try:
        with Namespace("a trial") as trial:
            os.close(trial.tun("trial"))
            trial.ip("link add lan type bridge")
            masquerade = "table ip t { chain c { type nat hook postrouting priority 100; masquerade fully-random; }; }"
            trial.run("nft", "-f", "-", stdin=masquerade)
    except (OSError, RuntimeError) as error:
        lacks.append(f"a kernel with namespaces, TUN, bridges and NAT ({error})")
    return lacks


def lacks_mapping() -> list[str]:
    """What is missing for routers that map ports on request."""
    return _packages(_MAPPING)


def _packages(commands: dict[str, str]) -> list[str]:
    absent = [package for command, package in commands.items() if shutil.which(command) is None]
    return [f"Debian's {' '.join(absent)}: sudo apt-get install {' '.join(absent)}"] if absent else []
