"""What a model takes and returns, found out by loading it in a worker of its own and asking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import trio

from wire.generation import Interface

from .bounds import LOAD_TIMEOUT, MEMORY
from .errors import ModelRefused, WorkerDied
from .link import open_worker
from .messages import Signature
from .modelfile import ModelFile
from .workplace import workplace


async def inspect(
    files: Sequence[ModelFile],
    *,
    interface: Interface | Literal["auto"] = "tensors",
    memory: int = MEMORY,
    timeout: float = LOAD_TIMEOUT,  # noqa: ASYNC109
) -> Signature:
    """The signature of an ONNX model, the graph first, then the files it refers to; the descriptors stay the caller's.

    With side files among them (see `SIDE_FILES`), `interface` "auto" finds out how the model is best served, and the
    signature says how. `memory` in bytes, `timeout` in seconds. FilesNeeded when the graph refers to others, which is
    how to find out; ModelRefused with the reason, also when it takes too long; WorkerDied when the process ended over
    it.
    """
    with workplace() as folder, trio.move_on_after(timeout):
        try:
            async with open_worker(files, folder, threads=1, memory=memory, interface=interface) as worker:
                return worker.loaded.signature
        except WorkerDied as error:
            then = "Export the model again or simplify it: whoever loads it would lose its worker"
            raise WorkerDied(error.how, then) from error
    raise ModelRefused(f"loading the model took over {timeout:g} s; simplify it, or allow more time")
