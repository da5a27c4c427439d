"""Which backends really execute on this machine: found out by executing, never from a list of names."""

from __future__ import annotations

import os
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import trio

from wire.inference import Backend
from wire.tensors import Tensor

from .bounds import BUILD_TIMEOUT, MIN_MEMORY, PROBE_MEMORY, PROBE_TIMEOUT
from .double import DOUBLE
from .errors import EngineError
from .exchange import open_exchange
from .link import open_worker
from .messages import Loaded, Sizes
from .modelfile import ModelFile, sealed
from .profiles import KINDS, TENSORRT_MODULES, BackendKind
from .workplace import workplace

_EXTRAS: dict[BackendKind, str] = {"onnxruntime-cpu": "cpu", "onnxruntime-cuda": "gpu", "tensorrt": "tensorrt"}


@dataclass(frozen=True, slots=True)
class Probe:
    """One backend here: what executed, and what held its worker; or a sentence on what is in the way."""

    kind: BackendKind
    installed: bool
    backend: Backend | None
    sandbox: tuple[str, ...] = ()
    problem: str = ""
    card_memory: int = 0  # bytes that the card has; 0 where none is used


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """Every backend, the best first, and sentences about what is wrong with all of them together."""

    probes: tuple[Probe, ...]
    problems: tuple[str, ...]

    @property
    def backends(self) -> tuple[Backend, ...]:
        """What executed."""
        return tuple(probe.backend for probe in self.probes if probe.backend is not None)


async def probe() -> ProbeReport:
    """Execute a tiny model on each backend and compare the result; never raises for what it finds."""
    problems = runtime_problems(await trio.to_thread.run_sync(installed_runtimes))
    return ProbeReport(tuple([await probe_backend(kind) for kind in KINDS]), problems)


async def probe_backend(kind: BackendKind) -> Probe:
    """Execute the model on this backend alone; one that is not installed is not tried."""
    if not await trio.to_thread.run_sync(is_installed, kind):
        return Probe(kind, False, None, problem=f"pip install 'hallmark[{_EXTRAS[kind]}]'")
    try:
        with os.fdopen(sealed([DOUBLE])) as model, workplace() as folder:
            loaded = await _execute(ModelFile("model.onnx", model.fileno()), folder, kind)
    except (EngineError, OSError) as error:
        return Probe(kind, True, None, problem=str(error))
    return Probe(kind, True, loaded.backend, loaded.sandbox, card_memory=loaded.card_memory)


async def _execute(model: ModelFile, folder: Path, kind: BackendKind) -> Loaded:
    x = Tensor.of("x", "FP32", (3,), struct.pack("<3f", 1, -2.5, 3e7))
    builds = kind == "tensorrt"
    memory = 4 * MIN_MEMORY if kind == "onnxruntime-cpu" else PROBE_MEMORY
    seconds = BUILD_TIMEOUT if builds else PROBE_TIMEOUT
    with trio.move_on_after(seconds), ExitStack() as stack:
        exchange = None
        if builds:  # with no cache: what is probed is also that an engine can be built
            exchange = stack.enter_context(
                open_exchange(None, [model], Sizes(rows=1, length=1), memory=memory, tf32=False)
            )
        async with open_worker([model], folder, threads=1, memory=memory, backend=kind, exchange=exchange) as worker:
            (y,), _ = await worker.run([x])
            if bytes(y.data) != struct.pack("<3f", 2, -5, 6e7):
                raise EngineError(
                    f"{kind} adds wrongly; reinstall it: pip install --force-reinstall 'hallmark[{_EXTRAS[kind]}]'"
                )
            return worker.loaded
    raise EngineError(f"a model of one addition took over {seconds:g} s; give the machine some rest, then try again")


def is_installed(kind: BackendKind) -> bool:
    """Whether there is a package for this backend. Nothing is imported, so whether it works is not known."""
    if kind == "tensorrt":
        return any(find_spec(name) is not None for name in TENSORRT_MODULES)
    runtimes = [text.split()[0].lower() for text in installed_runtimes()]
    return "onnxruntime-gpu" in runtimes if kind == "onnxruntime-cuda" else bool(runtimes)


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
            f"pip uninstall -y {names}, then pip install 'hallmark[cpu]', or 'hallmark[gpu]' for a card",
        )
    return ()
