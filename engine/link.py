"""The node's end of a worker: load once, then run one input after another, or let it generate.

Whatever a worker sends is checked like a stranger's bytes; the first that breaks a rule costs it its life.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol

import trio

from wire.canonical import Record
from wire.errors import RecordError, RemoteError
from wire.generation import Interface, Tokens
from wire.tensors import Tensor, check_headers

from .bounds import MAX_NEW_TOKENS
from .errors import FilesNeeded, ModelFailed, ModelRefused, WorkerDied
from .messages import Failed, FromWorker, Load, Loaded, Needs, Ran, Run, Stop
from .modelfile import ModelFile, parts_of
from .parcels import Parcel, ParcelDecoder, pack
from .process import Process, start

COMMAND = ["-m", "engine.worker"]

OnTokens = Callable[[Tokens], None]  # must neither wait nor raise: the worker's time is everybody's


class Runner(Protocol):
    """A worker that has loaded its model, as the rest of the engine knows it."""

    pid: int
    exited: trio.Event
    loaded: Loaded

    def memory(self) -> int:
        """Bytes of memory it occupies now."""

    async def run(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
        """Outputs and microseconds; ModelFailed and WorkerDied. After a cancellation it must not be used again."""

    async def generate(
        self, inputs: Sequence[Tensor], on_tokens: OnTokens, stop: trio.Event
    ) -> tuple[tuple[Tensor, ...], int, int]:
        """As `run`, of a generator: also the number of the prompt's tokens. ModelFailed soon after `stop` is set."""


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
        ran = self._check(parcel.message)
        return parcel.tensors, ran.compute_us

    async def generate(
        self, inputs: Sequence[Tensor], on_tokens: OnTokens, stop: trio.Event
    ) -> tuple[tuple[Tensor, ...], int, int]:
        await _send(self._process, Run(inputs=tuple(t.header for t in inputs)), inputs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_at, stop, self._process)
            end = await self._hear(on_tokens)
            nursery.cancel_scope.cancel()
        if isinstance(end, WorkerDied):
            raise end
        ran = self._check(end.message)
        return end.tensors, ran.compute_us, ran.tokens_in

    async def _hear(self, on_tokens: OnTokens) -> Parcel[FromWorker] | WorkerDied:
        drawn = 0
        try:
            while isinstance((parcel := await _receive(self._process, self._decoder)).message, Tokens):
                drawn += len(parcel.message.ids)
                if drawn > MAX_NEW_TOKENS:
                    return _broke_a_rule(RecordError(f"over {MAX_NEW_TOKENS} tokens"))
                on_tokens(parcel.message)
        except WorkerDied as error:
            return error
        return parcel

    def _check(self, message: Record) -> Ran:
        if isinstance(message, Failed):
            raise ModelFailed(_printable(message.message))
        try:
            if not isinstance(message, Ran):
                raise RecordError(f"{type(message).__name__} came in answer to Run")
            check_headers(message.outputs, self.loaded.signature.outputs, "outputs")
        except RecordError as error:
            raise _broke_a_rule(error) from error
        return message


@asynccontextmanager
async def open_worker(
    files: Sequence[ModelFile],
    cwd: Path,
    *,
    threads: int,
    memory: int,
    interface: Interface | Literal["auto"] = "tensors",
) -> AsyncIterator[Worker]:
    """A worker with the model loaded, the graph first; killed on leaving. `cwd` is an empty folder.

    The files stay the caller's, who can close them from here on: what is loaded needs them no more. FilesNeeded or
    ModelRefused when the model can't be loaded, WorkerDied when the process ended over it, EngineError when none could
    be started. There is no time limit here: put one around it.
    """
    load = Load(files=parts_of(files, memory), threads=threads, memory=memory, interface=interface)
    async with start(COMMAND, [file.fd for file in files], cwd) as process:
        decoder: ParcelDecoder[FromWorker] = ParcelDecoder(FromWorker)
        message = (await _ask(process, decoder, load)).message
        if isinstance(message, Failed):
            raise ModelRefused(_printable(message.message))
        if isinstance(message, Needs):
            raise FilesNeeded(_printable(message.message), message.files)
        if not isinstance(message, Loaded):
            raise _broke_a_rule(RecordError(f"{type(message).__name__} came in answer to Load"))
        if interface not in ("auto", message.signature.interface):
            raise _broke_a_rule(RecordError(f"it serves {message.signature.interface}, and was to serve {interface}"))
        yield Worker(process, message, decoder)


async def _ask(
    process: Process, decoder: ParcelDecoder[FromWorker], message: Record, tensors: Sequence[Tensor] = ()
) -> Parcel[FromWorker]:
    await _send(process, message, tensors)
    return await _receive(process, decoder)


async def _send(process: Process, message: Record, tensors: Sequence[Tensor] = ()) -> None:
    try:
        for part in pack(message, tensors):
            await process.stream.send_all(part)
    except trio.BrokenResourceError as error:
        raise WorkerDied(f"the worker {await process.obituary()}. Ask again: it is started anew") from error


async def _receive(process: Process, decoder: ParcelDecoder[FromWorker]) -> Parcel[FromWorker]:
    try:
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


async def _stop_at(stop: trio.Event, process: Process) -> None:
    await stop.wait()
    with suppress(WorkerDied):  # that is told where its answer is awaited
        await _send(process, Stop())


def _broke_a_rule(error: Exception) -> WorkerDied:
    return WorkerDied(f"the worker sent what none may send ({error}) and is ended. Ask again: it is started anew")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)  # a model can put words into it
