"""One step against one peer: its clients as tasks, each real request by the doors that `hallmark infer` uses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import trio

from wire.benchmark import MAX_SAMPLED
from wire.errors import RemoteError
from wire.inference import Backend, SignedReceipt
from wire.offer import Offer

from ..attempt import Answered, Question, attempt
from ..peer import Peer
from ..tiers.rung import NotProved
from . import bounds
from .backend import show_backend
from .load import Load, Pause
from .reference import Pool
from .samples import Sample, Samples, Thinned

NOT_PROVED = "not_proved"  # beside the names in wire.errors.ErrorCode


@dataclass
class Step:
    """One step as it runs, and what came of it."""

    offer: Offer
    load: Load
    samples: Samples = field(default_factory=Samples)
    receipts: Thinned[SignedReceipt] = field(default_factory=lambda: Thinned(MAX_SAMPLED))
    backends: set[Backend] = field(default_factory=set)
    profiles: set[str] = field(default_factory=set)
    finished: tuple[int, int] | None = None  # the provider's clock at the first and the last counted answer

    @property
    def duration(self) -> float:
        """Seconds that count."""
        return self.load.duration


async def drive(peer: Peer, question: Question, pool: Pool, step: Step) -> None:
    """Run the step to its end. `question` has everything but its inputs; its `seconds` are each request's."""
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = step.load.ends_at + bounds.LINGER
        for client in range(step.load.clients):
            nursery.start_soon(_client, peer, question, pool, step, client, nursery.cancel_scope)


async def _client(peer: Peer, question: Question, pool: Pool, step: Step, client: int, scope: trio.CancelScope) -> None:
    load = step.load
    while move := load.next(client, trio.current_time()):
        if isinstance(move, Pause):
            await trio.sleep_until(move.until)
            continue
        number = move.index % len(pool.inputs)
        began = trio.current_time()
        asked = replace(question, tensors=pool.inputs[number])
        try:
            answer = await attempt(peer, asked, step.offer, began + question.seconds)
        except NotProved as error:
            _failed(step, client, NOT_PROVED, str(error))
        except RemoteError as error:
            hint = error.after_ms / 1000 if error.after_ms else None
            _failed(step, client, error.code.value, str(error), hint)
        else:
            ended = trio.current_time()
            if load.answered(client, ended):
                _count(step, answer, pool, number, began, ended)
        scope.deadline = load.ends_at + bounds.LINGER


def _failed(step: Step, client: int, kind: str, why: str, hint: float | None = None) -> None:
    if step.load.failed(client, trio.current_time(), kind, hint):
        step.samples.add_failure(kind, why)
    elif step.load.given_up:
        step.samples.why_failed = why


def _count(step: Step, answer: Answered, pool: Pool, number: int, began: float, ended: float) -> None:
    assert step.load.counts_from is not None
    if why := pool.fault(number, answer.outputs):
        step.samples.add_wrong(why)
        return
    signed = answer.file.receipt
    receipt, backend = signed.receipt, signed.receipt.runtime.backend
    step.receipts.add(signed)
    step.backends.add(backend)
    step.profiles.add(receipt.runtime.profile)
    first, last = step.finished or (receipt.finished_ms, receipt.finished_ms)
    step.finished = min(first, receipt.finished_ms), max(last, receipt.finished_ms)
    step.samples.add(
        Sample(
            at=ended - step.load.counts_from,
            latency_us=int((ended - began) * 1e6),
            items=receipt.usage.units,
            tokens=receipt.usage.tokens_out,
            sent=sum(t.header.binary_data_size for t in pool.inputs[number]),
            received=sum(t.header.binary_data_size for t in answer.outputs),
            compute_us=receipt.usage.compute_us,
            price=int(receipt.price),
            together=receipt.runtime.together,
            backend=show_backend(backend),
        )
    )
