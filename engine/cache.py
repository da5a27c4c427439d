"""Engines that were built on this machine, on disk: a file each, for this user alone, found again by all they rest on.

An engine is native code. What is here came out of a worker on this machine, under a name that the node made; nothing
else is ever read: no message, no flag and no import names a file. A worker that its model took over can write what is
loaded for that model again, in the same sandbox, and nothing for another: so nothing is shared between models, the
kernels' times included, which TensorRT reads with code as trusting.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from blake3 import blake3

from wire.bounds import MIB, Hash32
from wire.canonical import Record, encode

from .bounds import MAX_ENGINES
from .messages import Platform, Sizes

ADAPTER = 1  # of engine.backends.tensorrt: another number wherever what it builds changes
_MAGIC = b"hallmark engine\n"
_HEAD = len(_MAGIC) + 32
_PIECE = 4 * MIB


class EngineKey(Record):
    """All that an engine depends on. Without `sizes`, what kernels' times depend on."""

    adapter: int
    files: tuple[Hash32, ...]  # the graph's, then the others', in the order in which they are given
    platform: Platform
    tf32: bool
    memory: int
    sizes: Sizes | None

    def name(self) -> str:
        """Its file's name."""
        return blake3(encode(self)).hexdigest()


class EngineCache:
    """See the module. The least recently used goes where they take over `bound` bytes together."""

    def __init__(self, folder: Path, bound: int = MAX_ENGINES) -> None:
        self._folder = folder
        self._bound = bound

    def read(self, key: EngineKey, fd: int, at: int, room: int) -> int:
        """Copy what is under `key` to `at` in the file `fd`; its bytes, 0 where there is nothing, or no room for it.

        What is torn, rotten or could have been written by another user is deleted.
        """
        path = self._folder / key.name()
        try:
            source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        except OSError:  # a link, most likely
            self.forget(key)
            return 0
        try:
            about = os.fstat(source)
            size = about.st_size - _HEAD
            ours = stat.S_ISREG(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o077
            if ours and size > room:
                return 0  # models may take less than they might then
            if ours and size > 0 and _copy_checked(source, fd, at, size):
                os.utime(path)
                return size
        finally:
            os.close(source)
        self.forget(key)
        return 0

    def write(self, key: EngineKey, fd: int, at: int, size: int) -> None:
        """Keep `size` bytes from `at` in the file `fd` under `key`, whole or not at all; OSError where that fails."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._folder, prefix="new-", delete=False) as target:  # made with mode 0600
            try:
                target.write(_MAGIC + bytes(32))
                digest = blake3()
                for piece in _pieces(fd, at, size):
                    digest.update(piece)
                    target.write(piece)
                target.seek(len(_MAGIC))
                target.write(digest.digest())
                target.flush()
                os.fsync(target.fileno())
                Path(target.name).replace(self._folder / key.name())
            except BaseException:
                Path(target.name).unlink(missing_ok=True)
                raise
        self._make_room(but=key.name())

    def forget(self, key: EngineKey) -> None:
        """Delete what is under `key`."""
        with suppress(FileNotFoundError):
            (self._folder / key.name()).unlink()

    def _make_room(self, but: str) -> None:
        kept = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                about = path.lstat()
                kept.append((about.st_mtime, path, about.st_size))
        total = sum(size for *_, size in kept)
        for _, path, size in sorted(kept):
            if total <= self._bound:
                return
            if path.name != but:
                path.unlink(missing_ok=True)
                total -= size


def _copy_checked(source: int, target: int, at: int, size: int) -> bool:
    head = os.pread(source, _HEAD, 0)
    digest = blake3()
    for piece in _pieces(source, _HEAD, size):
        digest.update(piece)
        at += os.pwrite(target, piece, at)
    return head == _MAGIC + digest.digest()


def _pieces(fd: int, at: int, size: int) -> Iterator[bytes]:
    end = at + size
    while at < end:
        piece = os.pread(fd, min(_PIECE, end - at), at)
        if not piece:
            raise OSError("the file is shorter than it was said to be")
        yield piece
        at += len(piece)
