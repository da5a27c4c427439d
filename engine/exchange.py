"""The node's side of a build: what was built before goes to the worker, what it builds comes back, in two memory files.

The node makes the key, from the model's own bytes and what the worker says of the machine before it reads the model.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio
from blake3 import blake3

from wire.errors import RecordError

from .cache import ADAPTER, EngineCache, EngineKey
from .messages import Build, Built, Kept, Platform, Sizes
from .modelfile import ModelFile

log = logging.getLogger("hallmark.engine")

_PIECE = 4 << 20


class Exchange:
    """One build, for one worker. Made by `open_exchange`."""

    def __init__(
        self, cache: EngineCache | None, files: Sequence[ModelFile], build: Build, *, memory: int, tf32: bool
    ) -> None:
        self.build = build
        self._cache, self._files = cache, files
        self._memory, self._tf32 = memory, tf32
        self._engine: EngineKey | None = None  # once the platform is known
        self._timing: EngineKey | None = None
        self._given = False  # something went to the worker

    @property
    def fds(self) -> tuple[int, int]:
        """What the worker's process must have."""
        return self.build.kept, self.build.built

    async def kept(self, platform: Platform) -> Kept:
        """What the worker is to be told. RecordError when it was told already."""
        if self._engine is not None:
            raise RecordError("a Platform came twice")
        return await trio.to_thread.run_sync(self._read, platform)

    async def keep(self, built: Built) -> None:
        """Take what the worker built; a disk that is full costs only the time of the next build."""
        if self._engine is None or not 0 < built.engine <= self.build.room - built.timing:
            raise RecordError("an engine came that there is no room for")
        if self._given:
            log.info("an engine that was kept did not load, or its sizes changed, and another was built")
        if self._cache is not None:
            await trio.to_thread.run_sync(self._write, self._cache, built)

    def spoilt(self) -> None:
        """The worker did not get ready with what it was given: the next one shall not have it."""
        if self._cache and self._engine and self._timing and self._given:
            self._cache.forget(self._engine)
            self._cache.forget(self._timing)

    def _read(self, platform: Platform) -> Kept:
        files = tuple(map(_hash, (file.fd for file in self._files)))
        sizes, room, fd = self.build.sizes, self.build.room, self.build.kept

        def key(sizes: Sizes | None) -> EngineKey:
            return EngineKey(
                adapter=ADAPTER, files=files, platform=platform, tf32=self._tf32, memory=self._memory, sizes=sizes
            )

        self._engine, self._timing = key(sizes), key(None)
        engine = timing = 0
        if self._cache is not None:
            engine = self._cache.read(self._engine, fd, 0, room)
            timing = self._cache.read(self._timing, fd, engine, room - engine)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)
        self._given = engine + timing > 0
        return Kept(engine=engine, timing=timing)

    def _write(self, cache: EngineCache, built: Built) -> None:
        assert self._engine is not None
        assert self._timing is not None
        try:
            cache.write(self._engine, self.build.built, 0, built.engine)
            if built.timing:
                cache.write(self._timing, self.build.built, built.engine, built.timing)
        except OSError as error:
            log.warning("an engine was built and cannot be kept: %s", error)


@contextmanager
def open_exchange(
    cache: EngineCache | None, files: Sequence[ModelFile], sizes: Sizes, *, memory: int, tf32: bool
) -> Iterator[Exchange]:
    """The exchange, while a worker loads; `memory` in bytes, also of either file, which takes as much as is in it."""
    fds: list[int] = []
    try:
        for name in ("kept", "built"):
            fds.append(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
            os.ftruncate(fds[-1], memory)
            fcntl.fcntl(fds[-1], fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        build = Build(sizes=sizes, kept=fds[0], built=fds[1], room=memory)
        yield Exchange(cache, files, build, memory=memory, tf32=tf32)
    finally:
        for fd in fds:
            os.close(fd)


def _hash(fd: int) -> bytes:
    digest, at = blake3(), 0
    while piece := os.pread(fd, _PIECE, at):
        digest.update(piece)
        at += len(piece)
    return digest.digest()
