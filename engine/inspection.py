"""What a model takes and returns, found out by loading it in a worker of its own and asking."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from .bounds import LOAD_TIMEOUT, MEMORY
from .errors import ModelRefused
from .link import open_worker
from .messages import Signature


async def inspect(fd: int, *, memory: int = MEMORY, timeout: float = LOAD_TIMEOUT) -> Signature:  # noqa: ASYNC109
    """The signature of the ONNX model in `fd`, which stays the caller's. `memory` in bytes, `timeout` in seconds.

    ModelRefused with the reason, also when it takes too long; WorkerDied when the process ended over it.
    """
    with TemporaryDirectory(prefix="hallmark-") as folder:
        with trio.move_on_after(timeout):
            async with open_worker(fd, Path(folder), threads=1, memory=memory) as worker:
                return worker.loaded.signature
    raise ModelRefused(f"loading the model took over {timeout:g} s; simplify it, or allow more time")
