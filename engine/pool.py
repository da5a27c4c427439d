"""The engine: models by name, each at its desk, and no trace of any of them after it closes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from wire.generation import Interface
from wire.inference import Backend
from wire.tensors import Tensor

from .bounds import (
    ALL_MEMORY,
    BUILD_TIMEOUT,
    CARD_SHARE,
    LENGTH,
    LOAD_TIMEOUT,
    MAX_LENGTH,
    MAX_MODELS,
    MAX_QUEUE,
    MAX_ROWS,
    MAX_THREADS,
    MAX_WITHDRAWN,
    MEMORY,
    MIN_MEMORY,
    MOST_ROWS,
    WORKER_MEMORY,
)
from .cache import EngineCache
from .cardfiles import has_card
from .choosing import Choice
from .desk import Desk
from .errors import EngineError, ModelRefused, NotLoaded
from .jobs import Execution
from .link import OnTokens
from .messages import Sizes
from .meter import Rates
from .modelfile import OpenModel, check_memory
from .probing import is_installed
from .profiles import BackendKind, Wanted, profile_of
from .residency import Budget, Residency
from .starting import Starter
from .tryout import Ready
from .workplace import remove_left_behind, workplace


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides; `load_timeout` is in seconds.

    `memory` is what one model may add to its worker, `all_memory` what all workers may take before one of them has to
    go for the next, both in bytes. `card_memory` is the same of a card's memory, where each model counts with all that
    it may take; 0 leaves a tenth of the card to others. `tolerances` are those of runtime profiles, max|Δ| / max|y|.
    """

    threads: int = 1  # within one operator
    memory: int = MEMORY
    all_memory: int = ALL_MEMORY
    card_memory: int = 0
    max_models: int = MAX_MODELS
    queue: int = MAX_QUEUE  # requests that wait for one model
    max_rows: int = MAX_ROWS  # of one execution, where requests can be joined; 1: they never are
    load_timeout: float = LOAD_TIMEOUT
    backend: Wanted = "auto"
    length: int = LENGTH  # of a free dim that is not a row's, where an engine is built for sizes
    tolerances: Mapping[str, float] = field(default_factory=dict)
    engines: Path | None = None  # the folder where built engines are kept; None: each is built at every start

    def __post_init__(self) -> None:
        if not (
            1 <= self.threads <= MAX_THREADS
            and self.memory >= MIN_MEMORY
            and min(self.all_memory, self.max_models, self.queue) > 0
            and self.card_memory >= 0
            and 1 <= self.max_rows <= MOST_ROWS
            and 1 <= self.length <= MAX_LENGTH
        ):
            raise ValueError(
                f"{self}: threads are 1 to {MAX_THREADS}, memory at least {MIN_MEMORY}, all_memory, max_models and "
                f"queue at least 1, card_memory at least 0, max_rows 1 to {MOST_ROWS}, length 1 to {MAX_LENGTH}"
            )


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model now. No `pid`: its worker is being started. `memory` in bytes; `queue` counts those that wait.

    One of the `runs` can have answered several of the `requests`. `passed` are the better backends that refused it,
    each with the reason; `building` how far an engine's build is.
    """

    model: bytes
    pid: int | None
    memory: int
    queue: int
    requests: int
    runs: int
    failures: int
    rates: Rates
    backend: Backend | None  # None while it is being loaded
    joins: bool
    pinned: bool
    passed: tuple[tuple[BackendKind, str], ...] = ()
    building: str = ""


class Engine:
    """Loads models and executes them. Made by `open_engine`."""

    def __init__(self, settings: Settings, nursery: trio.Nursery, folder: Path) -> None:
        self.settings = settings
        self._nursery = nursery
        self._folder = folder
        budgets = [
            Budget[Desk](lambda: settings.all_memory, lambda desk: desk.memory),
            Budget[Desk](lambda: self.card_memory, self._on_card),
        ]
        self._residency: Residency[Desk] = Residency(settings.max_models, budgets, lambda desk: desk.may_go)
        self._withdrawn: OrderedDict[bytes, str] = OrderedDict()
        self.choice = Choice(settings.backend)
        self._cache = EngineCache(settings.engines) if settings.engines else None
        self._starters: dict[Desk, Starter] = {}

    def check_memory(self, size: int) -> None:
        """ModelRefused when a model whose files have `size` bytes can't be loaded here, before they are opened."""
        check_memory(size, self.settings.memory)

    async def load(
        self,
        model: bytes,
        open_files: OpenModel,
        *,
        interface: Interface = "tensors",
        profile: str = "fp32",
        size: int = 0,
        pinned: bool = False,
    ) -> Ready:
        """Start a worker for `model` and run it once; what is loaded already is only looked up.

        `open_files` opens the ONNX graph, the files it refers to and those of `SIDE_FILES` that `interface` is to have,
        so that nobody can write to them (see `sealed`), and is called in a thread at every start of a worker; the
        engine closes them as soon as the model is loaded. `profile` is the runtime profile that the model asks for.
        Where places or memory run out, the least recently used idle models go, but none that is `pinned`; `size` is
        that of the model's files, in bytes, from which its memory is guessed until it is known. FilesNeeded when the
        graph refers to others, which is how to find out; ModelRefused, EngineBusy, or EngineError.
        """
        self._check_withdrawn(model)
        if (desk := self._residency.get(model)) is None:
            await self.choice.learn_card()
            desk = self._residency.get(model)  # somebody else may have asked for it meanwhile
        if desk is None:
            starter = self._starter(open_files, interface, profile)
            desk = Desk(
                starter.start,
                self.settings.queue,
                self.settings.max_rows,
                self.settings.load_timeout + (BUILD_TIMEOUT if self._may_build else 0),
                expected=WORKER_MEMORY + 2 * size,
                pinned=pinned,
                tolerance=self.settings.tolerances.get(profile),
            )
            leaving = self._residency.admit(model, desk)
            self._starters[desk] = starter
            self._nursery.start_soon(self._keep, model, desk, leaving)
        await desk.ready.wait()
        if isinstance(desk.outcome, Ready):
            return desk.outcome
        raise desk.outcome or EngineError("the engine is closing; start it again")

    async def execute(
        self, model: bytes, inputs: Sequence[Tensor], *, deadline: float, on_tokens: OnTokens | None = None
    ) -> Execution:
        """The outputs of `model` on `inputs`, which stand in its signature's order; `deadline` in seconds from now.

        Whoever has the inputs from a stranger has checked their bytes already (`Tensor.check`).
        `on_tokens` hears a generator's tokens as they come, provisional until this returns; it must neither wait nor
        raise. Who is cancelled, or whose deadline passes, stops the generation between two tokens.
        NaN and infinities are passed on as they are. NotLoaded, ModelRefused, ModelFailed, EngineBusy,
        ExecutionTimeout, WorkerDied.
        """
        self._check_withdrawn(model)
        desk = self._residency.get(model)
        if desk is None:
            raise NotLoaded("this model is not loaded here; load it, then ask again")
        return await desk.execute(inputs, trio.current_time() + deadline, on_tokens)

    def check_room(self, model: bytes) -> None:
        """EngineBusy when too many wait for `model` already, before anything is spent on one more."""
        if (desk := self._residency.get(model)) is not None:
            desk.check_room()

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
                requests=desk.requests,
                runs=desk.runs,
                failures=desk.failures,
                rates=desk.meter.rates(trio.current_time()),
                backend=desk.outcome.backend if isinstance(desk.outcome, Ready) else None,
                joins=isinstance(desk.outcome, Ready) and desk.outcome.joins,
                pinned=desk.pinned,
                passed=tuple(self._starters[desk].passed.items()),
                building=self._starters[desk].building,
            )
            for model, desk in self._residency.items()
        ]

    async def _keep(self, model: bytes, desk: Desk, leaving: Sequence[Desk]) -> None:
        for other in leaving:
            other.close()
        for other in leaving:
            await other.closed.wait()  # its memory is free before ours is needed
        await desk.serve()
        self._residency.remove(model, desk)
        del self._starters[desk]
        if desk.withdrawn is not None:
            self._withdrawn[model] = desk.withdrawn
            if len(self._withdrawn) > MAX_WITHDRAWN:
                self._withdrawn.popitem(last=False)

    def _check_withdrawn(self, model: bytes) -> None:
        if (reason := self._withdrawn.get(model)) is not None:
            raise ModelRefused(reason)

    def _starter(self, open_files: OpenModel, interface: Interface, profile: str) -> Starter:
        settings = self.settings
        return Starter(
            open_files,
            self.choice,
            self._cache,
            self._folder,
            interface=interface,
            profile=profile,
            tf32=profile_of(profile).tf32,
            threads=settings.threads,
            memory=settings.memory,
            sizes=Sizes(rows=settings.max_rows, length=settings.length),
            load_timeout=settings.load_timeout,
        )

    @property
    def card_memory(self) -> int | None:
        """Bytes of the card's that all models may take; None where no card has executed anything yet."""
        if not self.choice.card_memory:
            return None
        return self.settings.card_memory or int(self.choice.card_memory * CARD_SHARE)

    def _on_card(self, desk: Desk) -> int:
        """Bytes of the card's memory that it may take; what is still being loaded counts as if it went there."""
        elsewhere = isinstance(desk.outcome, Ready) and desk.outcome.backend.device == "cpu"
        return 0 if elsewhere or not self.choice.card_memory else self.settings.memory

    @property
    def _may_build(self) -> bool:
        wanted = self.settings.backend
        return wanted == "tensorrt" or (wanted == "auto" and has_card() and is_installed("tensorrt"))


@asynccontextmanager
async def open_engine(settings: Settings | None = None) -> AsyncIterator[Engine]:
    """The engine, for as long as the context lasts; on leaving every worker is killed and reaped."""
    await trio.to_thread.run_sync(remove_left_behind)
    with workplace() as folder:
        async with trio.open_nursery() as nursery:
            yield Engine(settings or Settings(), nursery, folder)
            nursery.cancel_scope.cancel()
