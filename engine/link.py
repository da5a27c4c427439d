"""The node's end of a worker: load once, then run one input after another.

Whatever a worker sends is checked like a stranger's bytes; the first that breaks a rule costs it its life.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio

from wire.canonical import Record
from wire.errors import RecordError, RemoteError
from wire.tensors import Tensor, check_headers

from .errors import ModelFailed, ModelRefused, WorkerDied
from .messages import Failed, FromWorker, Load, Loaded, Ran, Run
from .modelfile import model_size
from .parcels import Parcel, ParcelDecoder, pack
from .process import Process, start

COMMAND = ["-m", "engine.worker"]


class Runner(Protocol):
    """A worker that has loaded its model, as the rest of the engine knows it."""

    pid: int
    exited: trio.Event
    loaded: Loaded

    def memory(self) -> int:
        """Bytes of memory it occupies now."""

    async def run(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
        """Outputs and microseconds; ModelFailed and WorkerDied. After a cancellation it must not be used again."""


class Worker:
    """A `Runner` in a process of its own."""

    def __init__(self, process: Process, loaded: Loaded, decoder: ParcelDecoder[FromWorker]) -> None:
        self.pid, self.exited, self.memory = process.pid, process.exited, process.memory
        self.loaded = loaded
        self._process = process
        self._decoder = decoder

    async def run(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
        message = Run(inputs=tuple(t.header for t in inputs))
        parcel = await _ask(self._process, self._decoder, message, inputs)
        if isinstance(parcel.message, Failed):
            raise ModelFailed(_printable(parcel.message.message))
        try:
            if not isinstance(parcel.message, Ran):
                raise RecordError(f"{type(parcel.message).__name__} came in answer to Run")
            check_headers(parcel.message.outputs, self.loaded.signature.outputs, "outputs")
        except RecordError as error:
            raise _broke_a_rule(error) from error
        return parcel.tensors, parcel.message.compute_us


@asynccontextmanager
async def open_worker(fd: int, cwd: Path, *, threads: int, memory: int) -> AsyncIterator[Worker]:
    """A worker with the model in `fd` loaded; killed on leaving. `fd` stays the caller's, `cwd` is an empty folder.

    ModelRefused when the model can't be loaded, WorkerDied when the process ended over it, EngineError when none could
    be started. There is no time limit here: put one around it.
    """
    load = Load(size=model_size(fd), threads=threads, memory=memory)
    async with start(COMMAND, fd, cwd) as process:
        decoder: ParcelDecoder[FromWorker] = ParcelDecoder(FromWorker)
        parcel = await _ask(process, decoder, load)
        if isinstance(parcel.message, Failed):
            raise ModelRefused(_printable(parcel.message.message))
        if not isinstance(parcel.message, Loaded):
            raise _broke_a_rule(RecordError(f"{type(parcel.message).__name__} came in answer to Load"))
        yield Worker(process, parcel.message, decoder)


async def _ask(
    process: Process, decoder: ParcelDecoder[FromWorker], message: Record, tensors: Sequence[Tensor] = ()
) -> Parcel[FromWorker]:
    try:
        for part in pack(message, tensors):
            await process.stream.send_all(part)
        while (parcel := decoder.next()) is None:
            data = await process.stream.receive_some(max(decoder.wanted(), 1 << 16))
            if not data:
                raise WorkerDied(f"the worker {await process.obituary()}. Ask again: it is started anew")
            decoder.feed(data)
    except trio.BrokenResourceError as error:
        raise WorkerDied(f"the worker {await process.obituary()}. Ask again: it is started anew") from error
    except (RecordError, RemoteError) as error:
        raise _broke_a_rule(error) from error
    return parcel


def _broke_a_rule(error: Exception) -> WorkerDied:
    return WorkerDied(f"the worker sent what none may send ({error}) and is ended. Ask again: it is started anew")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)  # a model can put words into it
