"""Network namespaces without names: each is a file descriptor of this process, and gone when that and the processes in
it are. So nothing is left behind, not even by `kill -9`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_KERNEL = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_HERE = "/proc/thread-self/ns/net"
TIMEOUT = 30.0


def _checked(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


class Namespace:
    """A machine's network: its devices, addresses, routes and filters. What a thread starts `inside` stays there."""

    def __init__(self, name: str) -> None:
        self.name = name
        home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _checked(_KERNEL.unshare(_CLONE_NEWNET), "a new network namespace")
            self._descriptor = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _checked(_KERNEL.setns(home, _CLONE_NEWNET), "the way back from a network namespace")
            os.close(home)
        self.run("ip", "link", "set", "lo", "up")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread opens in the block, and processes that it starts, are in this namespace."""
        home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _checked(_KERNEL.setns(self._descriptor, _CLONE_NEWNET), f"entering {self.name}")
            yield
        finally:
            _checked(_KERNEL.setns(home, _CLONE_NEWNET), f"leaving {self.name}")
            os.close(home)

    def run(self, *words: str, stdin: str = "", may_fail: bool = False) -> str:
        """A command's output. RuntimeError with what it said when it fails."""
        with self.inside():
            ended = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        if ended.returncode and not may_fail:
            raise RuntimeError(f"in {self.name}: {' '.join(words)}: {ended.stderr.strip() or ended.stdout.strip()}")
        return ended.stdout

    def ip(self, words: str) -> None:
        """`ip …`, as it is typed."""
        self.run("ip", *words.split())

    def sysctl(self, settings: Mapping[str, int]) -> None:
        """Settings below net."""
        for name, value in settings.items():
            self.run("sysctl", "-qw", f"net.{name}={value}")

    def tun(self, device: str) -> int:
        """A new device in here; what is sent through it is read from the descriptor, and the other way round."""
        with self.inside():
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI))
        self.ip(f"link set {device} txqueuelen 2000 up")
        return descriptor

    def join(self, device: str, other: Namespace, its: str) -> None:
        """A cable between two namespaces."""
        there = other._descriptor
        words = f"ip link add {device} type veth peer name {its} netns /proc/self/fd/{there}".split()
        with self.inside():
            subprocess.run(words, pass_fds=[there], check=True, timeout=TIMEOUT)
        self.ip(f"link set {device} up")
        other.ip(f"link set {its} up")

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
