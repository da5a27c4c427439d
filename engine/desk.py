"""One model's desk: who may wait there, and what becomes of each; who wait are served by `life`."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from wire.bounds import MAX_TENSOR_BYTES
from wire.errors import RecordError
from wire.tensors import Tensor, check_headers

from .admission import Admission
from .errors import EngineBusy, EngineError, ExecutionTimeout, ModelFailed, NotLoaded
from .interface import asked
from .jobs import Execution, Job
from .life import Launch, Life
from .link import OnTokens
from .rows import alike, rows_of
from .tryout import Ready


class Desk(Life):
    """See the module."""

    def __init__(
        self,
        launch: Launch,
        queue: int,
        most_rows: int,
        load_timeout: float,
        *,
        expected: int = 0,
        pinned: bool = False,
        tolerance: float | None = None,
    ) -> None:
        """`expected` is a guess of the worker's memory in bytes, until it is known."""
        super().__init__(launch, Admission(queue, most_rows, MAX_TENSOR_BYTES), most_rows, load_timeout, tolerance)
        self.pinned = pinned
        self._memory = expected

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

    async def execute(self, inputs: Sequence[Tensor], deadline: float, on_tokens: OnTokens | None = None) -> Execution:
        """One execution, by `deadline` on trio's clock. The errors are those of engine.errors.

        The tensors' bytes were checked where they came from: to look at all of the largest again takes 40 ms.
        `on_tokens` hears a generator's tokens as they come; it must neither wait nor raise.
        """
        if not isinstance(self.outcome, Ready):
            raise self.outcome or NotLoaded("this model is still being loaded; ask again when it is")
        try:
            headers = [t.header for t in inputs]
            check_headers(headers, asked(self.outcome.signature, headers).inputs, "inputs")
            for tensor in inputs:
                tensor.check_size()
        except RecordError as error:
            raise ModelFailed(str(error)) from error
        needs = self.outcome.compute_us / 1e6
        if trio.current_time() + needs > deadline:
            raise ExecutionTimeout(
                f"the smallest run takes {needs:.3g} s here, the deadline is sooner; it was not executed"
            )
        rows = rows_of(inputs) if self.outcome.joins else 0
        size = sum(tensor.header.binary_data_size for tensor in inputs)
        job = Job(inputs, deadline, alike(inputs) if rows else None, rows, size, on_tokens)
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
