"""One model's desk: its queue, its worker, and the one task that brings them together.

The task owns the worker; callers only wait. So a caller that is cancelled, or whose deadline passes, can't leave the
protocol half way: its run ends and is dropped, or lasts too long and costs the worker its life, and nothing else.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import trio

from wire.bounds import MAX_TENSOR_BYTES
from wire.errors import RecordError
from wire.generation import Tokens
from wire.inference import Backend
from wire.tensors import Tensor, check_headers

from .admission import Admission
from .bounds import CHUNK, LEAST_RUN, PATIENCE, QUICK_TRIAL, START_RETRY
from .errors import EngineBusy, EngineError, ExecutionTimeout, ModelFailed, ModelRefused, NotLoaded, WorkerDied
from .link import OnTokens, Runner
from .messages import Signature
from .meter import Meter
from .rows import Alike, alike, join, part, permits_rows, rows_of, same, trial_rows
from .strikes import Strikes
from .trial import generation_trial, trial_inputs

Launch = Callable[[], AbstractAsyncContextManager[Runner]]


@dataclass(frozen=True, slots=True)
class Execution:
    """What one execution gave: the outputs in the model's order, the microseconds it took, what executed it.

    `company` is how many requests it served, this one among them: the time is that of all. Tokens are a generator's:
    those of the prompt, and those drawn.
    """

    outputs: tuple[Tensor, ...]
    compute_us: int
    backend: Backend
    company: int
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that is loaded and has run once. `compute_us` is one run on the trial input; `sandbox` what holds it.

    `joins`: requests that wait together are executed together, since each row's result stands alone.
    """

    signature: Signature
    backend: Backend
    compute_us: int
    sandbox: tuple[str, ...]
    joins: bool


@dataclass(eq=False, slots=True)
class _Job:
    inputs: Sequence[Tensor]
    deadline: float  # trio's clock
    alike: Alike | None  # None: it is executed alone
    rows: int
    size: int
    on_tokens: OnTokens | None = None
    done: trio.Event = field(default_factory=trio.Event)
    result: Execution | EngineError | None = None
    run: _Run | None = None  # once that began
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


class _Run:
    """One execution for all of its jobs, and the time it may take.

    A generation can be stopped between two steps, so it goes on as long as somebody waits, and then has the time that
    one step may take.
    """

    def __init__(self, jobs: Sequence[_Job], patience: float, *, generates: bool) -> None:
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


class Desk:
    """See the module. `serve` is its task; it must run exactly once."""

    def __init__(
        self,
        launch: Launch,
        queue: int,
        most_rows: int,
        load_timeout: float,
        *,
        expected: int = 0,
        pinned: bool = False,
    ) -> None:
        """`expected` is a guess of the worker's memory in bytes, until it is known."""
        self.ready = trio.Event()  # loaded, or given up: see `outcome`
        self.closed = trio.Event()
        self.outcome: Ready | EngineError | None = None
        self.requests = self.runs = self.failures = 0  # one run can serve several requests
        self.worker: Runner | None = None
        self.withdrawn: str | None = None  # why it was given up, after it had been accepted or for killing its workers
        self.meter = Meter(trio.current_time())
        self.pinned = pinned
        self._memory = expected
        self._launch = launch
        self._load_timeout = load_timeout
        self._most_rows = most_rows
        self._queue: Admission[_Job] = Admission(queue, most_rows, MAX_TENSOR_BYTES)
        self._current: _Run | None = None
        self._something = trio.Event()  # a job came, or the worker ended
        self._strikes = Strikes()
        self._scope = trio.CancelScope()

    @property
    def waiting(self) -> int:
        """Requests that wait, those at work not counted."""
        return len(self._queue)

    @property
    def wait(self) -> float:
        """Seconds that those who wait, and those at work, will take, if they are like those of the last minute."""
        needs = self.outcome.compute_us / 1e6 if isinstance(self.outcome, Ready) else 0.0
        at_work = len(self._current.jobs) if self._current else 0
        return (len(self._queue) + at_work) * (self.meter.pace(trio.current_time()) or needs)

    def check_room(self) -> None:
        """EngineBusy, with the time that it takes, when nobody else can wait here now."""
        try:
            self._queue.check_room()
        except EngineBusy as error:
            error.after = self.wait
            raise

    @property
    def is_idle(self) -> bool:
        """Nobody would miss it: loaded, and nothing at work or waiting."""
        return self.ready.is_set() and self._current is None and not self._queue

    @property
    def may_go(self) -> bool:
        """Whether it may make room for another."""
        return self.is_idle and not self.pinned

    @property
    def memory(self) -> int:
        """Bytes that its worker takes, or will."""
        if self.worker is not None and (now := self.worker.memory()):
            self._memory = now
        return self._memory

    def close(self) -> None:
        """Begin to end it: see `closed`."""
        self._scope.cancel()

    async def execute(self, inputs: Sequence[Tensor], deadline: float, on_tokens: OnTokens | None = None) -> Execution:
        """One execution, by `deadline` on trio's clock. The errors are those of engine.errors.

        `on_tokens` hears a generator's tokens as they come; it must neither wait nor raise.
        """
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
        rows = rows_of(inputs) if self.outcome.joins else 0
        size = sum(tensor.header.binary_data_size for tensor in inputs)
        job = _Job(inputs, deadline, alike(inputs) if rows else None, rows, size, on_tokens)
        self.check_room()
        self._queue.add(job)
        self._something.set()
        try:
            with trio.move_on_at(deadline):
                await job.done.wait()
        finally:
            self._queue.drop(job)
            job.leave()
        if job.result is None:
            how = "while it ran" if job.run else "before its turn came; it was not executed"
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
                ready, longest = await self._try_out(worker)
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

    async def _try_out(self, worker: Runner) -> tuple[Ready, int]:
        """What the worker can do, and the microseconds of the longest run, or step, that nobody may break off."""
        loaded = worker.loaded
        if loaded.signature.interface == "generate":
            elapsed, longest = await _generate_once(worker)
            return Ready(loaded.signature, loaded.backend, elapsed, loaded.sandbox, joins=False), longest
        elapsed = loaded.example_us if loaded.example_us is not None else await _run_made_up(worker)
        joins = self._most_rows > 1 and elapsed < QUICK_TRIAL * 1e6 and await _stands_alone(worker)
        return Ready(loaded.signature, loaded.backend, elapsed, loaded.sandbox, joins), elapsed

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
        return WorkerDied("the worker ended while it was idle. Ask again: it is started anew")

    async def _execute_all(self, worker: Runner, jobs: Sequence[_Job], patience: float) -> bool:
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

    async def _execute(self, worker: Runner, jobs: Sequence[_Job], patience: float) -> bool:
        """One execution for these jobs; whether the worker can be used again. ModelFailed, RecordError, WorkerDied."""
        generates = worker.loaded.signature.interface == "generate"
        run = self._current = _Run(jobs, patience, generates=generates)
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


async def _run_rows(worker: Runner, jobs: Sequence[_Job]) -> list[Execution]:
    """Each job's execution, from one run for all."""
    outputs, elapsed = await worker.run(join([job.inputs for job in jobs]))
    shares = part(outputs, [job.rows for job in jobs]) if len(jobs) > 1 else [tuple(outputs)]
    if shares is None:
        raise ModelFailed("the model gave another number of rows than it was asked for")
    return [Execution(share, elapsed, worker.loaded.backend, len(jobs)) for share in shares]


async def _generate(worker: Runner, run: _Run) -> list[Execution]:
    (job,) = run.jobs  # generations are never joined
    outputs, elapsed, tokens_in = await worker.generate(job.inputs, run.say, run.stop)
    drawn = outputs[0].header.shape[0]
    return [Execution(outputs, elapsed, worker.loaded.backend, 1, tokens_in, drawn)]


async def _generate_once(worker: Runner) -> tuple[int, int]:
    """The microseconds of the smallest generation, and of one with the longest step: a full piece of a prompt."""
    longest = 0
    for tokens in (CHUNK, 16, 1):  # not every decoder was made for as many positions as a piece has
        try:
            _, elapsed, _ = await worker.generate(
                generation_trial(worker.loaded.signature.inputs, tokens), lambda _: None, trio.Event()
            )
        except ModelFailed as error:
            if tokens == 1:
                raise ModelRefused(f"the model failed its trial, one token after one token: {error}") from error
        else:
            longest = max(longest, elapsed)
    return elapsed, longest


async def _run_made_up(worker: Runner) -> int:
    """The microseconds of a run on inputs that we make up."""
    specs = worker.loaded.signature.inputs
    inputs = trial_inputs(specs, ones=False)
    try:
        await worker.run(inputs)
    except ModelFailed:
        inputs = trial_inputs(specs, ones=True)
    try:
        _, elapsed = await worker.run(inputs)  # the first run also warms up: this one is the figure
    except ModelFailed as error:
        raise ModelRefused(
            f"the model failed its trial run (zeros, then ones, free dims 1): {error}. If it takes other inputs, "
            "publish it with an example: hallmark model add --example NAME=VALUE"
        ) from error
    return elapsed


async def _stands_alone(worker: Runner) -> bool:
    """Whether requests can be joined: the signature permits it, and each row of a trial gives in company what it gives
    alone, whatever the company."""
    signature = worker.loaded.signature
    if not permits_rows(signature):
        return False
    try:
        requests = trial_rows(signature.inputs)
        alone = [(await worker.run(request))[0] for request in requests]
        for order in ([0, 1, 2], [2, 0, 1]):
            outputs, _ = await worker.run(join([requests[i] for i in order]))
            shares = part(outputs, [1] * len(order))
            if shares is None or not all(same(alone[i], share) for i, share in zip(order, shares, strict=True)):
                return False
    except (ModelFailed, RecordError):
        return False
    return True
