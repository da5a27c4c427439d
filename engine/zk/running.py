"""The node's end of a proof worker: a task at a time, killed when its caller is cancelled or out of time.

Whatever the worker says is checked as a stranger's word would be. What it writes is read from its folder by whoever
asked for it, and believed by nobody without a check.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from wire.canonical import Record
from wire.errors import RecordError, RemoteError

from ..bounds import GIB, PROOF_DISK, PROOF_MEMORY, PROOF_SECONDS, VERIFY_MEMORY, VERIFY_SECONDS, VERIFY_TIMEOUT
from ..errors import EngineError, WorkerDied
from ..parcels import ParcelDecoder, pack
from ..process import Process, start
from .messages import Begin, Done, Failed, FromWorker, Started, Task, Verify

_COMMAND = ["-m", "engine.zk.worker"]


class ProofFailed(EngineError):
    """EZKL refused: the proof is not valid, the model is no circuit, or the input is beyond it."""


def installed() -> bool:
    """Whether there is an EZKL to try; nothing is imported."""
    return find_spec("ezkl") is not None


async def probe() -> ProofWorker:
    """A worker started and ended: what would prove here, and what would hold it. EngineError where none starts."""
    with TemporaryDirectory(prefix="hallmark-") as folder:
        async with open_proof_worker(Path(folder)) as worker:
            return worker


class ProofWorker:
    """A running worker. `system` is what proves, with its version; `sandbox` names what holds it."""

    def __init__(self, process: Process, decoder: ParcelDecoder[FromWorker], started: Started) -> None:
        self.system, self.sandbox = started.system, started.sandbox
        self._process, self._decoder = process, decoder

    async def do(self, task: Task) -> None:
        """Return when it is done. ProofFailed when EZKL refuses; WorkerDied when the process ended over it.

        After a cancellation, or WorkerDied, it must not be used again.
        """
        await _send(self._process, task)
        answer = await _receive(self._process, self._decoder)
        if isinstance(answer, Failed):
            raise ProofFailed(answer.message)
        if not isinstance(answer, Done):
            raise WorkerDied(f"the proof worker sent a {type(answer).__name__} in answer to a task, and is ended")


@asynccontextmanager
async def open_proof_worker(
    folder: Path,
    *,
    memory: int = PROOF_MEMORY,
    disk: int = PROOF_DISK,
    seconds: int = PROOF_SECONDS,
    threads: int = 1,
) -> AsyncIterator[ProofWorker]:
    """A worker that sees `folder` and nothing else; killed on leaving.

    It may add `memory` bytes, write files of up to `disk` bytes, and use `seconds` of processor time. EngineError when
    EZKL is not there, or none could be started; WorkerDied.
    """
    async with start(_COMMAND, (), folder) as process:
        decoder: ParcelDecoder[FromWorker] = ParcelDecoder(FromWorker)
        await _send(process, Begin(memory=memory, disk=disk, seconds=seconds, threads=threads))
        answer = await _receive(process, decoder)
        if isinstance(answer, Failed):
            raise EngineError(answer.message)
        if not isinstance(answer, Started):
            raise WorkerDied("the proof worker did not say that it has started, and is ended")
        yield ProofWorker(process, decoder, answer)


class Verifier:
    """One warm worker that checks proofs, one after another; started when it is first needed, and again when it died.

    Made by `open_verifier`.
    """

    def __init__(self) -> None:
        self._turn = trio.Lock()
        self._open: AsyncExitStack | None = None
        self._worker: ProofWorker | None = None
        self._folder = Path()

    async def check(self, files: Mapping[str, bytes]) -> str:
        """Write these files and verify: "" when the proof holds, else what EZKL says.

        EngineError when that could not be found out: no EZKL, no process, no time, or the process ended over it.
        """
        async with self._turn:
            done = False
            try:
                with trio.move_on_after(VERIFY_TIMEOUT):
                    worker = self._worker or await self._start()
                    for name, data in files.items():
                        (self._folder / name).write_bytes(data)  # 100 KB; a thread would take longer
                    try:
                        await worker.do(Verify())
                    except ProofFailed as error:
                        done = True
                        return str(error)
                    done = True
                    return ""
                raise EngineError(f"a proof could not be checked within {VERIFY_TIMEOUT:g} s")
            finally:
                if not done:
                    with trio.CancelScope(shield=True):
                        await self.close()

    async def _start(self) -> ProofWorker:
        async with AsyncExitStack() as stack:
            self._folder = Path(stack.enter_context(TemporaryDirectory(prefix="hallmark-")))
            opening = open_proof_worker(
                self._folder, memory=VERIFY_MEMORY, disk=GIB // 16, seconds=VERIFY_SECONDS, threads=1
            )
            self._worker = await stack.enter_async_context(opening)
            self._open = stack.pop_all()
        return self._worker

    async def close(self) -> None:
        """End the worker, if there is one."""
        stack, self._open, self._worker = self._open, None, None
        if stack is not None:
            await stack.aclose()


@asynccontextmanager
async def open_verifier() -> AsyncIterator[Verifier]:
    """A verifier without a process yet; whatever it started is gone on leaving."""
    verifier = Verifier()
    try:
        yield verifier
    finally:
        with trio.CancelScope(shield=True):
            await verifier.close()


async def _send(process: Process, message: Record) -> None:
    try:
        for part in pack(message):
            await process.stream.send_all(part)
    except trio.BrokenResourceError as error:
        raise WorkerDied(f"the proof worker {await process.obituary()}") from error


async def _receive(process: Process, decoder: ParcelDecoder[FromWorker]) -> FromWorker:
    try:
        while (parcel := decoder.next()) is None:
            data = await process.stream.receive_some(1 << 16)
            if not data:
                raise WorkerDied(f"the proof worker {await process.obituary()}")
            decoder.feed(data)
    except trio.BrokenResourceError as error:
        raise WorkerDied(f"the proof worker {await process.obituary()}") from error
    except (RecordError, RemoteError) as error:
        raise WorkerDied(f"the proof worker sent what none may send ({error}) and is ended") from error
    return parcel.message
