"""What a desk has to do: a job for each caller, a run for jobs that are executed together, and what it gave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from wire.generation import Tokens
from wire.inference import Backend
from wire.tensors import Tensor

from .errors import EngineError
from .link import OnTokens
from .rows import Alike


@dataclass(frozen=True, slots=True)
class Execution:
    """What one execution gave: the outputs in the model's order, the microseconds it took, what executed it.

    `company` is how many requests it served, this one among them: the time is that of all. Tokens are those that a
    tokeniser made of this request's texts, or a generator's prompt has; and those that a generator drew.
    """

    outputs: tuple[Tensor, ...]
    compute_us: int
    backend: Backend
    company: int
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(eq=False, slots=True)
class Job:
    inputs: Sequence[Tensor]
    deadline: float  # trio's clock
    alike: Alike | None  # None: it is executed alone
    rows: int
    size: int
    on_tokens: OnTokens | None = None
    done: trio.Event = field(default_factory=trio.Event)
    result: Execution | EngineError | None = None
    run: Run | None = None  # once that began
    left: bool = False

    def settle(self, result: Execution | EngineError) -> None:
        if self.result is None:
            self.result = result
            self.done.set()

    def leave(self) -> None:
        """Its caller is gone."""
        self.left = True
        if self.run is not None:
            self.run.someone_left()


class Run:
    """One execution for all of its jobs, and the time it may take.

    A generation can be stopped between two steps, so it goes on as long as somebody waits, and then has the time that
    one step may take.
    """

    def __init__(self, jobs: Sequence[Job], patience: float, *, generates: bool) -> None:
        self.jobs = jobs
        self.stop = trio.Event()
        self._patience = patience
        self._generates = generates
        self._enough = trio.current_time() + patience  # all the time that callers who left can ask for
        latest = math.inf if generates else max(self._enough, *(job.deadline for job in jobs))
        self.scope = trio.CancelScope(deadline=latest)
        for job in jobs:
            job.run = self
        self.someone_left()

    def someone_left(self) -> None:
        """A run that nobody waits for any more has no more than its least time."""
        if self.stop.is_set() or not all(job.left for job in self.jobs):
            return
        self.stop.set()
        if self._generates:
            self.scope.deadline = trio.current_time() + self._patience
        else:
            self.scope.deadline = min(self.scope.deadline, max(self._enough, trio.current_time()))

    def say(self, tokens: Tokens) -> None:
        """The generation drew these; who left hears nothing any more."""
        for job in self.jobs:
            if job.on_tokens is not None and not job.left:
                job.on_tokens(tokens)

    def settle(self, result: EngineError) -> None:
        for job in self.jobs:
            job.settle(result)
