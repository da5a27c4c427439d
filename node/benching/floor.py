"""What this machine gives without a network and without a node: the floor under its served answers.

A process of its own runs the model in a plain loop (`direct`), one batch size after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import trio

from engine import EngineError, ModelRefused, OpenModel
from engine.bounds import MEMORY
from engine.messages import Failed, Load, Loaded, Run
from engine.modelfile import closing, parts_of
from engine.parcels import ParcelDecoder, pack
from engine.process import Process, start
from wire.canonical import Record
from wire.errors import RecordError, RemoteError
from wire.generation import Interface
from wire.tensors import Tensor

from ..control import Emit
from . import bounds
from .backend import show_backend
from .measured import Measured

M = TypeVar("M", bound=Record)
COMMAND = ["-m", "node.benching.direct"]


async def run_direct(
    open_files: OpenModel,
    interface: Interface,
    pool: Sequence[Sequence[Tensor]],
    seconds: float,
    threads: int,
    emit: Emit,
) -> list[dict[str, Any]]:
    """A row of figures for each batch size, in the form of a step's; EngineError when the model cannot be run.

    `open_files` as the engine has it; `seconds` of execution for each batch size.
    """
    with trio.move_on_after(bounds.DIRECT_SECONDS + seconds * len(bounds.DIRECT_BATCHES)):
        files = await trio.to_thread.run_sync(open_files)
        with TemporaryDirectory(prefix="hallmark-") as folder, closing(files):
            sizes = ",".join(map(str, bounds.DIRECT_BATCHES))
            command = [*COMMAND, str(seconds), str(len(pool)), sizes]
            async with start(command, [file.fd for file in files], Path(folder)) as process:
                talk = _Talk(process)
                parts = parts_of(files, MEMORY)
                await talk.say(Load(files=parts, threads=threads, memory=MEMORY, interface=interface))
                loaded = await talk.hear(Loaded)
                for request in pool:
                    await talk.say(Run(inputs=tuple(t.header for t in request)), request)
                rows = []
                for size in bounds.DIRECT_BATCHES:
                    emit({"event": "running", "text": f"running it directly, {size} at a time"})
                    rows.append(_row(await talk.hear(Measured), show_backend(loaded.backend)))
                return rows
    raise EngineError("the direct loop did not end in time; choose a shorter --duration")


class _Talk:
    """What is said to the loop's process and heard from it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._decoder: ParcelDecoder[Any] = ParcelDecoder(Loaded | Measured | Failed)

    async def say(self, message: Record, tensors: Sequence[Tensor] = ()) -> None:
        try:
            for piece in pack(message, tensors):
                await self._process.stream.send_all(piece)
        except trio.BrokenResourceError:
            return  # it has said why, or will be found ended

    async def hear(self, kind: type[M]) -> M:
        """The next message, which must be a `kind`; EngineError when the process failed or ended."""
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
        if not isinstance(parcel.message, kind):
            raise EngineError(f"the direct loop said {type(parcel.message).__name__} where {kind.__name__} is due")
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
