"""Which backends really execute on this machine: found out by executing, never from a list of names."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from wire.inference import Backend
from wire.tensors import Tensor

from .bounds import MIN_MEMORY, PROBE_TIMEOUT
from .errors import EngineError
from .link import open_worker
from .modelfile import ModelFile, sealed

# y = x + x over FP32 [3], IR version 10, opset 21, as onnx.helper builds it (the node itself does without onnx)
DOUBLE = bytes.fromhex(
    "080a3a3a0a0e0a01780a017812017922034164641206646f75626c655a0f0a017812"
    "0a0a08080112040a020803620f0a0179120a0a08080112040a02080342040a001015"
)


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What executed here, what held the worker, and sentences about what is in the way."""

    backends: tuple[Backend, ...]
    sandbox: tuple[str, ...]
    problems: tuple[str, ...]


async def probe() -> ProbeReport:
    """Execute a tiny model on each backend and compare the result; never raises for what it finds."""
    problems = runtime_problems(await trio.to_thread.run_sync(installed_runtimes))
    try:
        with os.fdopen(sealed([DOUBLE])) as model, TemporaryDirectory(prefix="hallmark-") as folder:
            backend, sandbox = await _execute(ModelFile("model.onnx", model.fileno()), Path(folder))
    except (EngineError, OSError) as error:
        return ProbeReport((), (), (*problems, f"nothing can be executed here: {error}"))
    return ProbeReport((backend,), sandbox, problems)


async def _execute(model: ModelFile, folder: Path) -> tuple[Backend, tuple[str, ...]]:
    x = Tensor.of("x", "FP32", (3,), struct.pack("<3f", 1, -2.5, 3e7))
    with trio.move_on_after(PROBE_TIMEOUT):
        async with open_worker([model], folder, threads=1, memory=4 * MIN_MEMORY) as worker:
            (y,), _ = await worker.run([x])
            if bytes(y.data) != struct.pack("<3f", 2, -5, 6e7):
                raise EngineError(
                    "onnxruntime adds wrongly; reinstall it: pip install --force-reinstall 'hallmark[cpu]'"
                )
            return worker.loaded.backend, worker.loaded.sandbox
    raise EngineError(
        f"a model of one addition took over {PROBE_TIMEOUT:g} s; give the machine some rest, then try again"
    )


def installed_runtimes() -> list[str]:
    """The distributions that put files into the package `onnxruntime`, by name and version."""
    found = {
        f"{d.name} {d.version}"
        for d in distributions()
        if d.name.lower().startswith("onnxruntime") and any(f.parts[0] == "onnxruntime" for f in d.files or ())
    }
    return sorted(found)


def runtime_problems(installed: list[str]) -> tuple[str, ...]:
    """What is wrong with these distributions together, a sentence each."""
    if not installed:
        return ("no onnxruntime is installed: pip install 'hallmark[cpu]'",)
    if len(installed) > 1:
        names = " ".join(text.split()[0] for text in installed)
        return (
            f"{' and '.join(installed)} are both installed and own the same files, so neither can be trusted: "
            f"pip uninstall -y {names}, then pip install 'hallmark[cpu]'",
        )
    return ()
