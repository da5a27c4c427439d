"""What a model takes and returns, found out by loading it in a worker of its own and asking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import trio

from wire.generation import Interface

from .bounds import LOAD_TIMEOUT, MEMORY
from .errors import ModelRefused
from .link import open_worker
from .messages import Signature
from .modelfile import ModelFile


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
    with TemporaryDirectory(prefix="hallmark-") as folder:
        with trio.move_on_after(timeout):
            async with open_worker(files, Path(folder), threads=1, memory=memory, interface=interface) as worker:
                return worker.loaded.signature
    raise ModelRefused(f"loading the model took over {timeout:g} s; simplify it, or allow more time")
