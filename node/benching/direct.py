"""The direct loop's process: one model, executed again and again with nothing around it.

It is sandboxed like a worker and loads as one, for the model may be a stranger's; but then it runs by itself, so that
what it measures is the floor under every served answer: the time inside the runtime, nothing copied, nobody asked.
Its arguments: seconds for each batch size, how many inputs come, the batch sizes; then those of a worker.
"""

from __future__ import annotations

import socket
import sys
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import EngineError
from engine.messages import Load, Run, Signature
from engine.rows import join, part, permits_rows, same
from engine.sandbox import die_with
from engine.worker import _Desk, _load  # a worker's own start: what is measured must be what is served
from wire.bounds import MAX_TENSOR_BYTES
from wire.tensors import Tensor

from .measured import Measured
from .samples import percentile, rate

if TYPE_CHECKING:
    from engine.generation.machine import Piece
    from engine.serving import Serve

Request = Sequence[Tensor]
WARM_RUNS = 3


def main(arguments: list[str]) -> None:
    """Load, take the inputs, measure each batch size, end."""
    seconds, count, batches, channel, parent = arguments
    die_with(int(parent))
    desk = _Desk(socket.socket(fileno=int(channel)))
    first = desk.receive()
    if first is None or not isinstance(first.message, Load):
        return
    try:
        serve, loaded = _load(first.message, desk)
        desk.send(loaded)
        pool: list[Request] = []
        while len(pool) < int(count):
            parcel = desk.receive()
            if parcel is None or not isinstance(parcel.message, Run):
                return
            pool.append(parcel.tensors)
    except EngineError as error:
        desk.fail(error)
        return
    for size in map(int, batches.split(",")):
        try:
            measured = measure(serve, loaded.signature, pool, size, float(seconds))
        except EngineError as error:
            measured = nothing(size, str(error))
        desk.send(measured)


class Nobody:
    """Nobody waits for a generation's tokens, and nobody stops it."""

    def say(self, piece: Piece) -> None:
        pass

    def stopped(self) -> bool:
        return False


def measure(serve: Serve, signature: Signature, pool: Sequence[Request], size: int, seconds: float) -> Measured:
    """`size` inputs of the pool in each execution, for so long; EngineError when the model fails on one."""
    batches = [list(request) for request in pool]
    if size > 1:
        if not permits_rows(signature):
            return nothing(size, "it has no first dim that may be any size")
        if size * max(sum(t.header.binary_data_size for t in request) for request in pool) > MAX_TENSOR_BYTES:
            return nothing(size, "so many inputs are over the bound for one request")
        turns = [[(start + i) % len(pool) for i in range(size)] for start in range(min(len(pool), 4))]
        batches = [join([pool[i] for i in turn]) for turn in turns]
        parts = part(serve(batches[0], Nobody())[0], [1] * size)
        alone = {i: serve(pool[i], Nobody())[0] for i in set(turns[0])}
        if parts is None or not all(same(alone[i], rows) for i, rows in zip(turns[0], parts, strict=True)):
            return nothing(size, "together its rows give other results than each by itself")
    for turn in range(WARM_RUNS):
        serve(batches[turn % len(batches)], Nobody())
    times = array("Q")
    busy, most, tokens = 0, int(seconds * 1e6), 0
    while busy < most:
        outputs, took, _ = serve(batches[len(times) % len(batches)], Nobody())
        times.append(max(took, 1))
        busy += times[-1]
        if signature.interface == "generate":
            tokens += outputs[0].header.shape[0]  # the first output is the tokens: see wire.generation
    return summarise(times, size, tokens)


def summarise(times: array[int], size: int, tokens: int) -> Measured:
    """The figures of executions that took so many microseconds each, one after the other, and gave so many tokens."""
    offsets, at = array("d"), 0
    for time in times:
        at += time
        offsets.append(at / 1e6)
    ordered, seconds = sorted(times), at / 1e6
    return Measured(
        batch=size,
        runs=len(times),
        millirate=int(1000 * rate(offsets, [size] * len(times), seconds)),
        mean_millirate=int(1000 * size * len(times) / seconds),
        millitokens=int(1000 * tokens / seconds),
        p50_us=percentile(ordered, 0.50),
        p99_us=percentile(ordered, 0.99),
        max_us=ordered[-1],
        why="",
    )


def nothing(size: int, why: str) -> Measured:
    """A batch size that this model does not have."""
    return Measured(
        batch=size, runs=0, millirate=0, mean_millirate=0, millitokens=0, p50_us=0, p99_us=0, max_us=0, why=why[:4096]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
