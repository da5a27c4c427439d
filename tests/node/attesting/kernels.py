"""Fakes at the two places where a kernel would answer: behind configfs-tsm's files, and behind /dev/nsm's ioctl.

No trusted environment is on the machines that run these tests, so nothing here was ever real hardware.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from pathlib import Path

import cbor2
from typing_extensions import override

from node.attesting.configfs import Files
from node.attesting.nsm import NSM_IOCTL_RAW


class FakeKernel(Files):
    """The kernel's part of configfs-tsm, over real files: attributes come with a directory, a write makes a report."""

    def __init__(
        self, provider: str = "tdx_guest", report: Callable[[bytes], bytes] = lambda data: b"quote of " + data
    ):
        self.provider, self.report = provider, report
        self.aux: bytes | None = None
        self.level, self.floor = 0, 0  # of privilege: what was asked for, and the least that is allowed
        self.meddles = False  # somebody else writes into the report as well
        self.entries = 0

    @override
    def mkdir(self, path: Path) -> None:
        super().mkdir(path)
        self.entries += 1
        (path / "provider").write_text(self.provider + "\n")
        (path / "generation").write_text("0\n")
        (path / "inblob").write_bytes(b"")
        if self.floor:
            (path / "privlevel_floor").write_text(f"{self.floor}\n")
        if self.aux is not None:
            (path / "auxblob").write_bytes(self.aux)

    @override
    def write(self, path: Path, data: bytes) -> None:
        if path.name == "privlevel":
            self.level = int(data)
        elif path.name != "inblob" or not 0 < len(data) <= 64:
            raise OSError(22, "Invalid argument")
        super().write(path, data)
        written = int((path.parent / "generation").read_text()) + 1 + self.meddles
        (path.parent / "generation").write_text(f"{written}\n")
        if path.name == "inblob":
            if self.level < self.floor:
                raise OSError(22, "Invalid argument")
            (path.parent / "outblob").write_bytes(self.report(data))

    @override
    def rmdir(self, path: Path) -> None:
        for attribute in path.iterdir():
            attribute.unlink()
        super().rmdir(path)


class FakeNsm:
    """The Nitro Secure Module's driver, at its ioctl: reads one buffer of ours, writes the other."""

    def __init__(self, reply: Callable[[bytes], object]) -> None:
        self.reply = reply

    def __call__(self, _: int, command: int, argument: bytearray) -> int:
        assert command == NSM_IOCTL_RAW
        given, size, taken, room = struct.unpack("=QQQQ", argument)
        asked = cbor2.loads(ctypes.string_at(given, size))
        said = cbor2.dumps(self.reply(asked["Attestation"]["user_data"]))
        if len(said) > room:
            raise OSError(90, "Message too long")
        ctypes.memmove(taken, said, len(said))
        struct.pack_into("=QQQQ", argument, 0, given, size, taken, len(said))
        return 0
