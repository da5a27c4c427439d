"""What this machine gives without a network and without a node: the floor under its served answers.

A process of its own runs the model in a plain loop (`direct`), one batch size after another, by the backend that the
engine would choose.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Any, TypeVar

import trio

from engine import Engine, EngineError, FilesNeeded, ModelRefused
from engine.bounds import BUILD_TIMEOUT, CARD_MEMORY
from engine.cache import EngineCache
from engine.exchange import Exchange, open_exchange
from engine.messages import Building, Built, Failed, Load, Loaded, Platform, Run, Sizes
from engine.modelfile import closing, parts_of
from engine.parcels import ParcelDecoder, pack
from engine.process import Process, start
from engine.profiles import BackendKind, profile_of
from engine.workplace import workplace
from wire.canonical import Record
from wire.errors import RecordError, RemoteError
from wire.tensors import Tensor

from ..control import Emit
from ..modelfiles import Loadable
from . import bounds
from .backend import show_backend
from .measured import Measured

M = TypeVar("M", bound=Record)
COMMAND = ["-m", "node.benching.direct"]


async def run_direct(
    engine: Engine, loadable: Loadable, pool: Sequence[Sequence[Tensor]], seconds: float, emit: Emit
) -> list[dict[str, Any]]:
    """A row of figures for each batch size, in the form of a step's; EngineError when the model cannot be run.

    By the backend that `engine` would have it executed by, found out as it does; each row names what did, and the
    better ones that refused the model. `seconds` of execution for each batch size.
    """
    passed: dict[str, str] = {}
    kinds = await engine.choice.backends(loadable.profile, loadable.interface)
    for kind in kinds:
        emit({"event": "running", "text": f"loading it for the direct loop with {kind}"})
        try:
            async with _loop(engine, loadable, kind, seconds, len(pool), emit) as (talk, loaded):
                for request in pool:
                    await talk.say(Run(inputs=tuple(t.header for t in request)), request)
                rows = []
                for size in bounds.DIRECT_BATCHES:
                    emit({"event": "running", "text": f"running it directly, {size} at a time"})
                    row = _row(await talk.hear(Measured), show_backend(loaded.backend))
                    rows.append(row | {"passed": passed})
                return rows
        except FilesNeeded:
            raise
        except ModelRefused as error:
            if kind == kinds[-1]:
                raise
            passed[kind] = error.reason
    raise AssertionError("a choice has one backend at least")


@asynccontextmanager
async def _loop(
    engine: Engine, loadable: Loadable, kind: BackendKind, seconds: float, inputs: int, emit: Emit
) -> AsyncIterator[tuple[_Talk, Loaded]]:
    """The loop's process with the model loaded; ended on leaving, and after its time."""
    settings, tf32, builds = engine.settings, profile_of(loadable.profile).tf32, kind == "tensorrt"
    most = bounds.DIRECT_SECONDS + seconds * len(bounds.DIRECT_BATCHES) + (BUILD_TIMEOUT if builds else 0)
    with trio.move_on_after(most) as limit, ExitStack() as stack:
        files = await trio.to_thread.run_sync(loadable.open_files)
        stack.enter_context(closing(files))
        folder = stack.enter_context(workplace())
        exchange = None
        if builds:
            sizes = Sizes(rows=settings.max_rows, length=settings.length)
            cache = EngineCache(settings.engines) if settings.engines else None
            exchange = stack.enter_context(open_exchange(cache, files, sizes, memory=settings.memory, tf32=tf32))
        load = Load(
            files=parts_of(files, settings.memory),
            threads=settings.threads,
            memory=settings.memory,
            interface=loadable.interface,
            backend=kind,
            tf32=tf32,
            build=exchange.build if exchange else None,
        )
        command = [*COMMAND, str(seconds), str(inputs), ",".join(map(str, bounds.DIRECT_BATCHES))]
        fds = [*(file.fd for file in files), *(exchange.fds if exchange else ())]
        watched = None if kind == "onnxruntime-cpu" else settings.memory + CARD_MEMORY
        async with start(command, fds, folder, watched) as process:
            talk = _Talk(process)
            await talk.say(load)
            yield talk, await _loaded(talk, exchange, emit)
    if limit.cancelled_caught:
        raise EngineError("the direct loop did not end in time; choose a shorter --duration")


async def _loaded(talk: _Talk, exchange: Exchange | None, emit: Emit) -> Loaded:
    """What loading ended with, after what the process said and asked of an engine, where it builds one."""
    done = False
    try:
        while not isinstance(message := await talk.hear(Platform, Building, Built, Loaded), Loaded):
            if exchange is None:
                raise EngineError(f"the direct loop's process said {type(message).__name__}, and builds nothing")
            if isinstance(message, Platform):
                await talk.say(await exchange.kept(message))
            elif isinstance(message, Built):
                await exchange.keep(message)
            elif isinstance(message, Building):
                emit({"event": "running", "text": f"building: {message.phase}, {message.done} of {message.steps}"})
        done = True
        return message
    except RecordError as error:
        raise EngineError(f"the direct loop's process broke a rule: {error}") from error
    finally:
        if exchange and not done:
            exchange.spoilt()


class _Talk:
    """What is said to the loop's process and heard from it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._decoder: ParcelDecoder[Any] = ParcelDecoder(Platform | Building | Built | Loaded | Measured | Failed)

    async def say(self, message: Record, tensors: Sequence[Tensor] = ()) -> None:
        try:
            for piece in pack(message, tensors):
                await self._process.stream.send_all(piece)
        except trio.BrokenResourceError:
            return  # it has said why, or will be found ended

    async def hear(self, *kinds: type[M]) -> M:
        """The next message, which must be one of `kinds`; EngineError when the process failed or ended."""
        try:
            while (parcel := self._decoder.next()) is None:
                data = await self._process.stream.receive_some(1 << 16)
                if not data:
                    raise EngineError(f"the direct loop's process {await self._process.obituary()}")
                self._decoder.feed(data)
        except (RecordError, RemoteError, trio.BrokenResourceError) as error:
            raise EngineError(f"the direct loop's process {await self._process.obituary()} ({error})") from error
        if isinstance(parcel.message, Failed):
            raise ModelRefused("".join(c if c.isprintable() else " " for c in parcel.message.message))
        if not isinstance(parcel.message, kinds):
            raise EngineError(f"the direct loop said {type(parcel.message).__name__} where {kinds[-1].__name__} is due")
        return parcel.message


def _row(measured: Measured, backend: str) -> dict[str, Any]:
    done = measured.runs > 0
    return {
        "batch": measured.batch,
        "runs": measured.runs,
        "items": measured.runs * measured.batch,
        "items_per_s": measured.millirate / 1000 if done else None,
        "mean_items_per_s": measured.mean_millirate / 1000 if done else None,
        "tokens_per_s": measured.millitokens / 1000,
        "p50_us": measured.p50_us if done else None,
        "p99_us": measured.p99_us if done else None,
        "max_us": measured.max_us if done else None,
        "backend": backend,
        "why": "".join(c if c.isprintable() else " " for c in measured.why),
    }
