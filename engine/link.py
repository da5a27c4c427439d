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

from .bounds import CARD_MEMORY, MAX_NEW_TOKENS
from .errors import BeyondHere, FilesNeeded, ModelFailed, ModelRefused, WorkerDied
from .exchange import Exchange
from .interface import asked
from .messages import Building, Built, Failed, FromWorker, Load, Loaded, Needs, Platform, Ran, Run, Stop
from .modelfile import ModelFile, parts_of
from .parcels import Parcel, ParcelDecoder, pack
from .process import Process, start
from .profiles import BackendKind
from .shared import Half, Shared, is_large, shared_memory

COMMAND = ["-m", "engine.worker"]

OnTokens = Callable[[Tokens], None]  # must neither wait nor raise: the worker's time is everybody's
OnBuilding = Callable[[Building], None]  # likewise


class Runner(Protocol):
    """A worker that has loaded its model, as the rest of the engine knows it."""

    pid: int
    exited: trio.Event
    loaded: Loaded

    def memory(self) -> int:
        """Bytes of memory it occupies now."""

    async def run(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
        """Outputs and microseconds; ModelFailed and WorkerDied. After a cancellation it must not be used again."""

    async def read(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int, tuple[int, ...]]:
        """As `run`, of a text model: also the tokens of each row; their sum alone where rows are over MOST_ROWS."""

    async def generate(
        self, inputs: Sequence[Tensor], on_tokens: OnTokens, stop: trio.Event
    ) -> tuple[tuple[Tensor, ...], int, int]:
        """As `run`, of a generator: also the number of the prompt's tokens. ModelFailed soon after `stop` is set."""


class Worker:
    """A `Runner` in a process of its own."""

    def __init__(self, process: Process, loaded: Loaded, decoder: ParcelDecoder[FromWorker], shared: Shared) -> None:
        self.pid, self.exited, self.memory = process.pid, process.exited, process.memory
        self.loaded = loaded
        self._process = process
        self._decoder = decoder
        self._shared = shared

    async def run(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
        outputs, elapsed, _ = await self.read(inputs)
        return outputs, elapsed

    async def read(self, inputs: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int, tuple[int, ...]]:
        await self._say(inputs)
        parcel = await _receive(self._process, self._decoder)
        ran = self._check(parcel.message, inputs)
        return await self._outputs(parcel, ran), ran.compute_us, ran.tokens_in

    async def generate(
        self, inputs: Sequence[Tensor], on_tokens: OnTokens, stop: trio.Event
    ) -> tuple[tuple[Tensor, ...], int, int]:
        await self._say(inputs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_at, stop, self._process)
            end = await self._hear(on_tokens)
            nursery.cancel_scope.cancel()
        if isinstance(end, WorkerDied):
            raise end
        ran = self._check(end.message, inputs)
        return await self._outputs(end, ran), ran.compute_us, sum(ran.tokens_in)

    async def _say(self, inputs: Sequence[Tensor]) -> None:
        if large := is_large(inputs):
            for _ in self._shared.putting(Half.INPUTS, inputs):
                await trio.lowlevel.checkpoint()
        run = Run(inputs=tuple(t.header for t in inputs), shared=large)
        await _send(self._process, run, () if large else inputs)

    async def _outputs(self, parcel: Parcel[FromWorker], ran: Ran) -> tuple[Tensor, ...]:
        outputs = self._shared.copies(Half.OUTPUTS, ran.outputs) if ran.shared else parcel.tensors
        if ran.shared:
            for tensor in outputs:
                await trio.lowlevel.cancel_shielded_checkpoint()  # others have their turn between two long steps
                try:
                    tensor.check()
                except RecordError as error:
                    raise _broke_a_rule(error) from error
            await trio.lowlevel.cancel_shielded_checkpoint()
        self._shared.give_back()
        return outputs

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

    def _check(self, message: Record, inputs: Sequence[Tensor]) -> Ran:
        if isinstance(message, Failed):
            raise (BeyondHere if message.here else ModelFailed)(_printable(message.message))
        try:
            if not isinstance(message, Ran):
                raise RecordError(f"{type(message).__name__} came in answer to Run")
            check_headers(message.outputs, asked(self.loaded.signature, [t.header for t in inputs]).outputs, "outputs")
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
    backend: BackendKind = "onnxruntime-cpu",
    tf32: bool = False,
    exchange: Exchange | None = None,
    on_building: OnBuilding = lambda _: None,
) -> AsyncIterator[Worker]:
    """A worker with the model loaded, the graph first; killed on leaving. `cwd` is an empty folder.

    A `backend` that builds engines needs an `exchange` for them, and tells `on_building` how far it is.
    The files stay the caller's, who can close them from here on: what is loaded needs them no more. FilesNeeded or
    ModelRefused when the model can't be loaded, WorkerDied when the process ended over it, EngineError when none could
    be started. There is no time limit here: put one around it.
    """
    with shared_memory() as shared:
        load = Load(
            files=parts_of(files, memory),
            threads=threads,
            memory=memory,
            interface=interface,
            backend=backend,
            tf32=tf32,
            build=exchange.build if exchange else None,
            shared=shared.fd,
        )
        fds = [*(file.fd for file in files), *(exchange.fds if exchange else ()), shared.fd]
        watched = None if backend == "onnxruntime-cpu" else memory + CARD_MEMORY
        async with start(COMMAND, fds, cwd, watched) as process:
            shared.is_sent()
            decoder: ParcelDecoder[FromWorker] = ParcelDecoder(FromWorker)
            await _send(process, load)
            message = await _loading(process, decoder, exchange, on_building)
            if isinstance(message, Failed):
                raise ModelRefused(_printable(message.message))
            if isinstance(message, Needs):
                raise FilesNeeded(_printable(message.message), message.files)
            if not isinstance(message, Loaded):
                raise _broke_a_rule(RecordError(f"{type(message).__name__} came in answer to Load"))
            if interface not in ("auto", message.signature.interface):
                raise _broke_a_rule(
                    RecordError(f"it serves {message.signature.interface}, and was to serve {interface}")
                )
            yield Worker(process, message, decoder, shared)


async def _loading(
    process: Process, decoder: ParcelDecoder[FromWorker], exchange: Exchange | None, on_building: OnBuilding
) -> FromWorker:
    """What the worker's load ended with, after what it said and asked of an engine."""
    loaded = False
    try:
        while True:
            message = (await _receive(process, decoder)).message
            if exchange and isinstance(message, Platform):
                await _send(process, await exchange.kept(message))
            elif exchange and isinstance(message, Built):
                await exchange.keep(message)
            elif exchange and isinstance(message, Building):
                on_building(message)
            else:
                loaded = isinstance(message, Loaded)
                return message
    except RecordError as error:
        raise _broke_a_rule(error) from error
    finally:
        if exchange and not loaded:  # also when it took too long
            exchange.spoilt()


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
        raise WorkerDied(f"the worker {await process.obituary()}") from error


async def _receive(process: Process, decoder: ParcelDecoder[FromWorker]) -> Parcel[FromWorker]:
    try:
        while (parcel := decoder.next()) is None:
            data = await process.stream.receive_some(max(decoder.wanted(), 1 << 16))
            if not data:
                raise WorkerDied(f"the worker {await process.obituary()}")
            decoder.feed(data)
    except trio.BrokenResourceError as error:
        raise WorkerDied(f"the worker {await process.obituary()}") from error
    except (RecordError, RemoteError) as error:
        raise _broke_a_rule(error) from error
    return parcel


async def _stop_at(stop: trio.Event, process: Process) -> None:
    await stop.wait()
    with suppress(WorkerDied):  # that is told where its answer is awaited
        await _send(process, Stop())


def _broke_a_rule(error: Exception) -> WorkerDied:
    return WorkerDied(f"the worker sent what none may send ({error}) and is ended")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)  # a model can put words into it
