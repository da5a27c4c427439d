"""One model's desk: its queue, its worker, and the one task that brings them together.

The task owns the worker; callers only wait. So a caller that is cancelled, or whose deadline passes, can't leave the
protocol half way: its run ends and is dropped, or lasts too long and costs the worker its life, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import trio

from wire.errors import RecordError
from wire.inference import Backend
from wire.tensors import Tensor, check_headers

from .admission import Admission
from .bounds import LEAST_RUN, PATIENCE, START_RETRY
from .errors import EngineError, ExecutionTimeout, ModelFailed, ModelRefused, NotLoaded, WorkerDied
from .link import Runner
from .messages import Signature
from .strikes import Strikes
from .trial import trial_inputs

Launch = Callable[[], AbstractAsyncContextManager[Runner]]


@dataclass(frozen=True, slots=True)
class Execution:
    """What one execution gave: the outputs in the model's order, the microseconds it took, what executed it."""

    outputs: tuple[Tensor, ...]
    compute_us: int
    backend: Backend


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that is loaded and has run once. `compute_us` is one run on the trial input; `sandbox` what holds it."""

    signature: Signature
    backend: Backend
    compute_us: int
    sandbox: tuple[str, ...]


@dataclass(eq=False, slots=True)
class _Job:
    inputs: Sequence[Tensor]
    deadline: float  # trio's clock
    done: trio.Event = field(default_factory=trio.Event)
    result: Execution | EngineError | None = None
    scope: trio.CancelScope | None = None  # around its run, once that began
    enough: float = 0.0  # when its run has had all the time that a caller who left can ask for

    def settle(self, result: Execution | EngineError) -> None:
        if self.result is None:
            self.result = result
            self.done.set()

    def leave(self) -> None:
        """Its caller is gone: a run under way has no more than its least time."""
        if self.scope is not None:
            self.scope.deadline = min(self.scope.deadline, max(self.enough, trio.current_time()))


class Desk:
    """See the module. `serve` is its task; it must run exactly once."""

    def __init__(self, launch: Launch, queue: int, load_timeout: float) -> None:
        self.ready = trio.Event()  # loaded, or given up: see `outcome`
        self.closed = trio.Event()
        self.outcome: Ready | EngineError | None = None
        self.runs = self.failures = 0
        self.worker: Runner | None = None
        self.withdrawn: str | None = None  # why it was given up, after it had been accepted or for killing its workers
        self._launch = launch
        self._load_timeout = load_timeout
        self._queue: Admission[_Job] = Admission(queue)
        self._current: _Job | None = None
        self._something = trio.Event()  # a job came, or the worker ended
        self._strikes = Strikes()
        self._scope = trio.CancelScope()

    @property
    def waiting(self) -> int:
        """Requests that wait, the one at work not counted."""
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        """Nobody would miss it: loaded, and nothing at work or waiting."""
        return self.ready.is_set() and self._current is None and not self._queue

    def close(self) -> None:
        """Begin to end it: see `closed`."""
        self._scope.cancel()

    async def execute(self, inputs: Sequence[Tensor], deadline: float) -> Execution:
        """One execution, by `deadline` on trio's clock. The errors are those of engine.errors."""
        if not isinstance(self.outcome, Ready):
            raise self.outcome or NotLoaded("this model is still being loaded; ask again when it is")
        try:
            check_headers([t.header for t in inputs], self.outcome.signature.inputs, "inputs")
            for tensor in inputs:
                tensor.check()
        except RecordError as error:
            raise ModelFailed(str(error)) from error
        needs = self.outcome.compute_us / 1e6
        if trio.current_time() + needs > deadline:
            raise ExecutionTimeout(
                f"the smallest run takes {needs:.3g} s here, the deadline is sooner; it was not executed"
            )
        job = _Job(inputs, deadline)
        self._queue.add(job)
        self._something.set()
        try:
            with trio.move_on_at(deadline):
                await job.done.wait()
        finally:
            self._queue.drop(job)
            job.leave()
        if job.result is None:
            how = "while it ran" if job.scope else "before its turn came; it was not executed"
            raise ExecutionTimeout(f"the deadline passed {how}. Allow more time, or ask elsewhere")
        if isinstance(job.result, EngineError):
            raise job.result
        return job.result

    async def serve(self) -> None:
        """Keep a worker at work until closed or given up; every job is settled in the end."""
        verdict: EngineError = NotLoaded("this model was unloaded; load it, then ask again")
        try:
            with self._scope:
                verdict = await self._live()
        finally:
            self._settle(verdict)
            for job in [*self._queue.clear(), *([self._current] if self._current else [])]:
                job.settle(verdict)
            self.outcome = verdict  # for who asks from now on
            self.closed.set()

    def _settle(self, outcome: Ready | EngineError) -> None:
        self.outcome = outcome
        self.ready.set()

    async def _live(self) -> EngineError:
        while self._strikes.withdrawn is None:
            await trio.sleep_until(self._strikes.restart_at)
            try:
                await self._life()
            except WorkerDied as error:
                self._strikes.died(trio.current_time(), str(error))
                if self._current is not None:
                    self._current.settle(error)
            except ModelRefused as error:
                self.withdrawn = error.reason if self.ready.is_set() else None
                return error
            except EngineError as error:
                if not self.ready.is_set():
                    return error
                await trio.sleep(START_RETRY)
            finally:
                self.worker = None
            self._current = None
        self.withdrawn = self._strikes.withdrawn
        return ModelRefused(self.withdrawn)

    async def _life(self) -> None:
        """One worker, from its start to its end: WorkerDied, or a return after a run that had to be killed."""
        with trio.move_on_after(self._load_timeout) as loading:
            async with self._launch() as worker:
                ready = await self._try_out(worker)
                loading.deadline = float("inf")
                self.worker = worker
                self._settle(ready)
                await self._work(worker, max(LEAST_RUN, PATIENCE * ready.compute_us / 1e6))
        if not loading.cancelled_caught:
            return
        reason = f"loading the model and running it once took over {self._load_timeout:g} s"
        if self.ready.is_set():  # it went well before, so it is the machine that is slow now
            raise WorkerDied(reason)
        raise ModelRefused(f"{reason}; simplify it, or allow more time")

    async def _try_out(self, worker: Runner) -> Ready:
        loaded = worker.loaded
        inputs = trial_inputs(loaded.signature.inputs, ones=False)
        try:
            await worker.run(inputs)
        except ModelFailed:
            inputs = trial_inputs(loaded.signature.inputs, ones=True)
        try:
            _, elapsed = await worker.run(inputs)  # the first run also warms up: this one is the figure
        except ModelFailed as error:
            raise ModelRefused(f"the model failed its trial run (zeros, then ones, free dims 1): {error}") from error
        return Ready(loaded.signature, loaded.backend, elapsed, loaded.sandbox)

    async def _work(self, worker: Runner, patience: float) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._notice_end, worker)
            died = await self._serve_jobs(worker, patience)
            nursery.cancel_scope.cancel()
        if died is not None:
            raise died

    async def _notice_end(self, worker: Runner) -> None:
        await worker.exited.wait()
        self._something.set()

    async def _serve_jobs(self, worker: Runner, patience: float) -> WorkerDied | None:
        while not worker.exited.is_set():
            job = self._queue.take(trio.current_time())
            if job is None:
                self._something = trio.Event()
                await self._something.wait()
                continue
            self._current, job.enough = job, trio.current_time() + patience
            with trio.move_on_at(max(job.deadline, job.enough)) as job.scope:
                try:
                    outputs, elapsed = await worker.run(job.inputs)
                except ModelFailed as error:
                    self.failures += 1
                    job.settle(error)
                except WorkerDied as error:
                    self.failures += 1
                    return error
                else:
                    self.runs += 1
                    job.settle(Execution(outputs, elapsed, worker.loaded.backend))
            if job.scope.cancelled_caught:
                self.failures += 1
                job.settle(ExecutionTimeout("the run would not end and was killed. Send a smaller input"))
                return None
            self._current = None
        return WorkerDied("the worker ended while it was idle. Ask again: it is started anew")
