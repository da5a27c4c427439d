"""What a worker that has just loaded its model is tried on, before anyone is told that the model is served here."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from wire.errors import RecordError
from wire.inference import Backend

from .bounds import CHUNK, COMPANY_SHARE, QUICK_TRIAL
from .errors import ModelFailed, ModelRefused
from .link import Runner
from .messages import Signature
from .rows import join, part, permits_rows, same, trial_rows
from .trial import generation_trial, trial_inputs


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


async def try_out(worker: Runner, most_rows: int, tolerance: float | None) -> tuple[Ready, int]:
    """What the worker can do, and the microseconds of the longest run, or step, that nobody may break off.

    `tolerance` is how far answers may be apart under the model's runtime profile, where that is known.
    """
    loaded = worker.loaded
    if loaded.signature.interface == "generate":
        elapsed, longest = await _generate_once(worker)
        return Ready(loaded.signature, loaded.backend, elapsed, loaded.sandbox, joins=False), longest
    elapsed = loaded.example_us if loaded.example_us is not None else await _run_made_up(worker)
    joins = most_rows > 1 and elapsed < QUICK_TRIAL * 1e6 and await _stands_alone(worker, tolerance)
    return Ready(loaded.signature, loaded.backend, elapsed, loaded.sandbox, joins), elapsed


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


async def _stands_alone(worker: Runner, tolerance: float | None) -> bool:
    """Whether requests can be joined: the signature permits it, and each row of a trial gives in company what it gives
    alone, whatever the company."""
    signature, limit = worker.loaded.signature, None
    if tolerance is not None and worker.loaded.backend.device != "cpu":
        limit = tolerance * COMPANY_SHARE
    if not permits_rows(signature):
        return False
    try:
        requests = trial_rows(signature.inputs)
        alone = [(await worker.run(request))[0] for request in requests]
        for order in ([0, 1, 2], [2, 0, 1]):
            outputs, _ = await worker.run(join([requests[i] for i in order]))
            shares = part(outputs, [1] * len(order))
            if shares is None or not all(same(alone[i], share, limit) for i, share in zip(order, shares, strict=True)):
                return False
    except (ModelFailed, RecordError):
        return False
    return True
