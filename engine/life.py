"""A worker's life at its desk: started, tried out, given what waits, and after its end another in its place.

One task owns the worker; callers only wait. So a caller that is cancelled, or whose deadline passes, can't leave the
protocol half way: its run ends and is dropped, or lasts too long and costs the worker its life, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import accumulate

import trio

from wire.errors import RecordError

from .admission import Admission
from .bounds import LEAST_RUN, PATIENCE, START_RETRY
from .errors import EngineError, ExecutionTimeout, ModelFailed, ModelRefused, NotLoaded, WorkerDied
from .jobs import Execution, Job, Run
from .link import Runner
from .meter import Meter
from .rows import join, part
from .strikes import Strikes
from .tryout import Ready, try_out

Launch = Callable[[], AbstractAsyncContextManager[Runner]]


class Life:
    """One model's worker, and each that takes its place. `serve` is its task; it must run exactly once."""

    def __init__(
        self, launch: Launch, queue: Admission[Job], most_rows: int, load_timeout: float, tolerance: float | None
    ) -> None:
        """`tolerance` is the runtime profile's, max|Δ| / max|y|; see `try_out`."""
        self.ready = trio.Event()  # loaded, or given up: see `outcome`
        self.closed = trio.Event()
        self.outcome: Ready | EngineError | None = None
        self.requests = self.runs = self.failures = 0  # one run can serve several requests
        self.worker: Runner | None = None
        self.withdrawn: str | None = None  # why it was given up, after it had been accepted or for killing its workers
        self.meter = Meter(trio.current_time())
        self._launch = launch
        self._queue = queue
        self._most_rows, self._load_timeout, self._tolerance = most_rows, load_timeout, tolerance
        self._current: Run | None = None
        self._something = trio.Event()  # a job came, or the worker ended
        self._strikes = Strikes()
        self._scope = trio.CancelScope()

    def close(self) -> None:
        """Begin to end it: see `closed`."""
        self._scope.cancel()

    async def serve(self) -> None:
        """Keep a worker at work until closed or given up; every job is settled in the end."""
        verdict: EngineError = NotLoaded("this model was unloaded; load it, then ask again")
        try:
            with self._scope:
                verdict = await self._live()
        finally:
            self._settle(verdict)
            for job in [*self._queue.clear(), *(self._current.jobs if self._current else ())]:
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
                await self._one_life()
            except WorkerDied as error:
                self._strikes.died(trio.current_time(), error.how)
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

    async def _one_life(self) -> None:
        """One worker, from its start to its end: WorkerDied, or a return after a run that had to be killed."""
        with trio.move_on_after(self._load_timeout) as loading:
            async with self._launch() as worker:
                ready, longest = await try_out(worker, self._most_rows, self._tolerance)
                loading.deadline = float("inf")
                self.worker = worker
                self._settle(ready)
                await self._work(worker, max(LEAST_RUN, PATIENCE * longest / 1e6))
        if not loading.cancelled_caught:
            return
        reason = f"loading the model and running it once took over {self._load_timeout:g} s"
        if self.ready.is_set():  # it went well before, so it is the machine that is slow now
            raise WorkerDied(reason)
        raise ModelRefused(f"{reason}; simplify it, or allow more time")

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
            jobs = self._queue.take(trio.current_time())
            if not jobs:
                self._something = trio.Event()
                await self._something.wait()
                continue
            try:
                if not await self._execute_all(worker, jobs, patience):
                    return None
            except WorkerDied as error:
                self.failures += 1
                return error
        return WorkerDied("the worker ended while it was idle")

    async def _execute_all(self, worker: Runner, jobs: Sequence[Job], patience: float) -> bool:
        """Execute the jobs together, or, when one of them spoils that, each alone; see `_execute`."""
        if len(jobs) > 1:
            try:
                return await self._execute(worker, jobs, patience)
            except (ModelFailed, RecordError):
                self._current = None
        left = deque(jobs)
        try:
            while left:
                job = left.popleft()
                try:
                    if not await self._execute(worker, [job], patience):
                        return False
                except ModelFailed as error:
                    self.failures += 1
                    job.settle(error)
                    self._current = None
        finally:
            self._queue.put_back(left)
        return True

    async def _execute(self, worker: Runner, jobs: Sequence[Job], patience: float) -> bool:
        """One execution for these jobs; whether the worker can be used again. ModelFailed, RecordError, WorkerDied."""
        generates = worker.loaded.signature.interface == "generate"
        run = self._current = Run(jobs, patience, generates=generates)
        with run.scope:
            try:
                executions = await (_generate(worker, run) if generates else _run_rows(worker, jobs))
            except ModelFailed:
                if not (generates and run.stop.is_set()):
                    raise
                executions = []  # it was stopped, which nobody waits to hear
            else:
                self.runs += 1
                self.requests += len(jobs)
                self.meter.note(len(jobs), executions[0].compute_us / 1e6, trio.current_time())
            for job, execution in zip(jobs, executions, strict=False):
                job.settle(execution)
        if run.scope.cancelled_caught:
            self.failures += 1
            run.settle(ExecutionTimeout("the run would not end and was killed. Send a smaller input"))
            return False
        self._current = None
        return True


async def _run_rows(worker: Runner, jobs: Sequence[Job]) -> list[Execution]:
    """Each job's execution, from one run for all."""
    joined, tokens = join([job.inputs for job in jobs]), tuple[int, ...]()
    if worker.loaded.signature.interface == "text":
        outputs, elapsed, tokens = await worker.read(joined)
    else:
        outputs, elapsed = await worker.run(joined)
    shares = part(outputs, [job.rows for job in jobs]) if len(jobs) > 1 else [tuple(outputs)]
    if shares is None:
        raise ModelFailed("the model gave another number of rows than it was asked for")
    counts = [sum(tokens)]
    if len(jobs) > 1:
        ends = accumulate(job.rows for job in jobs)
        counts = [sum(tokens[end - job.rows : end]) for job, end in zip(jobs, ends, strict=True)]
    return [
        Execution(share, elapsed, worker.loaded.backend, len(jobs), count)
        for share, count in zip(shares, counts, strict=True)
    ]


async def _generate(worker: Runner, run: Run) -> list[Execution]:
    (job,) = run.jobs  # generations are never joined
    outputs, elapsed, tokens_in = await worker.generate(job.inputs, run.say, run.stop)
    drawn = outputs[0].header.shape[0]
    return [Execution(outputs, elapsed, worker.loaded.backend, 1, tokens_in, drawn)]
