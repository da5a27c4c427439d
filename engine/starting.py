"""How a model's worker is started: on the best backend that takes the model, with what was built for it before."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import trio

from wire.generation import Interface

from .bounds import BUILD_TIMEOUT
from .cache import EngineCache
from .choosing import Choice
from .errors import EngineError, FilesNeeded, ModelRefused, WorkerDied
from .exchange import open_exchange
from .link import Runner, open_worker
from .messages import Building, Sizes
from .modelfile import ModelFile, OpenModel, closing
from .profiles import BackendKind

log = logging.getLogger("hallmark.engine")


class Starter:
    """Starts the workers of one model, one after the other, each in `folder`, which is empty.

    `passed` are the better backends that refused it, each with the reason; `building` says how far an engine's build
    is, and is empty while none is built.
    """

    def __init__(
        self,
        open_files: OpenModel,
        choice: Choice,
        cache: EngineCache | None,
        folder: Path,
        *,
        interface: Interface,
        profile: str,
        tf32: bool,
        threads: int,
        memory: int,
        sizes: Sizes,
        load_timeout: float,
    ) -> None:
        self.passed: dict[BackendKind, str] = {}
        self.building = ""
        self._open_files, self._choice, self._cache, self._folder = open_files, choice, cache, folder
        self._interface, self._profile, self._tf32 = interface, profile, tf32
        self._threads, self._memory, self._sizes = threads, memory, sizes
        self._load_timeout = load_timeout
        self._loaded_before = False

    @asynccontextmanager
    async def start(self) -> AsyncIterator[Runner]:
        """A worker that has loaded the model, ended on leaving. The errors are those of `open_worker`."""
        kinds = await self._choice.backends(self._profile, self._interface)
        try:
            files = await trio.to_thread.run_sync(self._open_files)
        except OSError as error:
            raise EngineError(f"the model's files cannot be opened ({error}); fetch the model again") from error
        async with AsyncExitStack() as stack:
            with closing(files):  # sealed files lie in memory: a copy that is not needed beside the worker's own
                worker = await self._first(stack, files, kinds)
            self._loaded_before = True
            yield worker

    async def _first(self, stack: AsyncExitStack, files: Sequence[ModelFile], kinds: Sequence[BackendKind]) -> Runner:
        for kind in kinds:
            if kind in self.passed and kind != kinds[-1]:
                continue
            try:
                return await self._open(stack, files, kind)
            except FilesNeeded:
                raise
            except ModelRefused as error:
                if kind == kinds[-1]:
                    raise
                self.passed[kind] = error.reason
                log.warning("a model is not executed by %s, so by the next best: %s", kind, error.reason)
        raise AssertionError("a choice has one backend at least")

    async def _open(self, stack: AsyncExitStack, files: Sequence[ModelFile], kind: BackendKind) -> Runner:
        builds = kind == "tensorrt"
        seconds = BUILD_TIMEOUT if builds else self._load_timeout
        with trio.move_on_after(seconds) as limit:
            with ExitStack() as building:
                exchange = None
                if builds:
                    exchange = building.enter_context(
                        open_exchange(self._cache, files, self._sizes, memory=self._memory, tf32=self._tf32)
                    )
                    building.callback(self._built)
                worker = await stack.enter_async_context(
                    open_worker(
                        files,
                        self._folder,
                        threads=self._threads,
                        memory=self._memory,
                        interface=self._interface,
                        backend=kind,
                        tf32=self._tf32,
                        exchange=exchange,
                        on_building=self._note,
                    )
                )
        if not limit.cancelled_caught:
            return worker
        reason = f"loading the model with {kind} took over {seconds:g} s"
        if self._loaded_before:  # it went well before, so it is the machine that is slow now
            raise WorkerDied(reason)
        raise ModelRefused(f"{reason}; simplify it, or allow more time")

    def _note(self, building: Building) -> None:
        self.building = f"{building.phase}, {building.done} of {building.steps}"

    def _built(self) -> None:
        self.building = ""
