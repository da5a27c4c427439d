"""The engine: models by name, each at its desk, and no trace of any of them after it closes."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from wire.tensors import Tensor

from .bounds import LOAD_TIMEOUT, MAX_MODELS, MAX_QUEUE, MAX_THREADS, MAX_WITHDRAWN, MEMORY, MIN_MEMORY
from .desk import Desk, Execution, Ready
from .errors import EngineError, ModelRefused, NotLoaded
from .link import Runner, open_worker
from .residency import Residency

OpenModel = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides; `memory` is what a model may add to its worker, in bytes, `load_timeout` in seconds."""

    threads: int = 1  # within one operator
    memory: int = MEMORY
    max_models: int = MAX_MODELS
    queue: int = MAX_QUEUE  # requests that wait for one model
    load_timeout: float = LOAD_TIMEOUT

    def __post_init__(self) -> None:
        if not (1 <= self.threads <= MAX_THREADS and self.memory >= MIN_MEMORY and self.max_models > 0 < self.queue):
            raise ValueError(
                f"{self}: threads are 1 to {MAX_THREADS}, memory at least {MIN_MEMORY}, max_models and queue at least 1"
            )


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model now. No `pid`: its worker is being started. `memory` in bytes; `queue` counts those that wait."""

    model: bytes
    pid: int | None
    memory: int
    queue: int
    runs: int
    failures: int


class Engine:
    """Loads models and executes them. Made by `open_engine`."""

    def __init__(self, settings: Settings, nursery: trio.Nursery, folder: Path) -> None:
        self._settings = settings
        self._nursery = nursery
        self._folder = folder
        self._residency: Residency[Desk] = Residency(settings.max_models, lambda desk: desk.is_idle)
        self._withdrawn: OrderedDict[bytes, str] = OrderedDict()

    async def load(self, model: bytes, open_fd: OpenModel) -> Ready:
        """Start a worker for `model` and run it once; what is loaded already is only looked up.

        `open_fd` gives a descriptor of the ONNX file that can't be written to (see `sealed`), and is called in a
        thread at every start of a worker; the engine closes what it gives. Where all places are taken, the least
        recently used idle model goes. ModelRefused, EngineBusy, or EngineError.
        """
        self._check_withdrawn(model)
        desk = self._residency.get(model)
        if desk is None:
            desk = Desk(lambda: self._launch(open_fd), self._settings.queue, self._settings.load_timeout)
            leaving = self._residency.admit(model, desk)
            self._nursery.start_soon(self._keep, model, desk, leaving)
        await desk.ready.wait()
        if isinstance(desk.outcome, Ready):
            return desk.outcome
        raise desk.outcome or EngineError("the engine is closing; start it again")

    async def execute(self, model: bytes, inputs: Sequence[Tensor], *, deadline: float) -> Execution:
        """The outputs of `model` on `inputs`, which stand in its signature's order; `deadline` in seconds from now.

        NaN and infinities are passed on as they are. NotLoaded, ModelRefused, ModelFailed, EngineBusy,
        ExecutionTimeout, WorkerDied.
        """
        self._check_withdrawn(model)
        desk = self._residency.get(model)
        if desk is None:
            raise NotLoaded("this model is not loaded here; load it, then ask again")
        return await desk.execute(inputs, trio.current_time() + deadline)

    async def unload(self, model: bytes) -> None:
        """End the model's worker; who waits for it gets NotLoaded. Nothing happens when it is not loaded."""
        desk = self._residency.get(model)
        if desk is not None:
            self._residency.remove(model, desk)
            desk.close()
            await desk.closed.wait()

    def loaded(self) -> list[ModelStatus]:
        """Every model that has a place, the least recently used first."""
        return [
            ModelStatus(
                model=model,
                pid=desk.worker.pid if desk.worker else None,
                memory=desk.worker.memory() if desk.worker else 0,
                queue=desk.waiting,
                runs=desk.runs,
                failures=desk.failures,
            )
            for model, desk in self._residency.items()
        ]

    async def _keep(self, model: bytes, desk: Desk, leaving: Desk | None) -> None:
        if leaving is not None:
            leaving.close()
            await leaving.closed.wait()  # its memory is free before ours is needed
        await desk.serve()
        self._residency.remove(model, desk)
        if desk.withdrawn is not None:
            self._withdrawn[model] = desk.withdrawn
            if len(self._withdrawn) > MAX_WITHDRAWN:
                self._withdrawn.popitem(last=False)

    def _check_withdrawn(self, model: bytes) -> None:
        if (reason := self._withdrawn.get(model)) is not None:
            raise ModelRefused(reason)

    def _launch(self, open_fd: OpenModel) -> AbstractAsyncContextManager[Runner]:
        return _launch(open_fd, self._folder, self._settings)


@asynccontextmanager
async def _launch(open_fd: OpenModel, folder: Path, settings: Settings) -> AsyncIterator[Runner]:
    try:
        fd = await trio.to_thread.run_sync(open_fd)
    except OSError as error:
        raise EngineError(f"the model's file cannot be opened ({error}); fetch the model again") from error
    try:
        async with open_worker(fd, folder, threads=settings.threads, memory=settings.memory) as worker:
            yield worker
    finally:
        os.close(fd)


@asynccontextmanager
async def open_engine(settings: Settings | None = None) -> AsyncIterator[Engine]:
    """The engine, for as long as the context lasts; on leaving every worker is killed and reaped."""
    with TemporaryDirectory(prefix="hallmark-") as folder:  # the workers' cwd; it stays empty
        async with trio.open_nursery() as nursery:
            yield Engine(settings or Settings(), nursery, Path(folder))
            nursery.cancel_scope.cancel()
