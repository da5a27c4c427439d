"""The engine: executes strangers' models in processes that can do nothing else.

`open_engine` keeps models loaded and executes them, `inspect` tells a model's signature, `probe` what can execute here;
`sealed` makes the descriptor a `ModelFile` travels in. Imports `wire` only. Two sides share `messages` and `parcels`:
the node's (`pool`, `starting`, `choosing`, `desk`, `life`, `tryout`, `link`, `process`, `workplace`, `exchange`,
`cache`) never imports numpy, onnx or a runtime, and the worker's (`worker`, `sandbox`, `screen`, `external`,
`signature`, `backends`, `serving`, `text`, `tokeniser`, `generation`) never imports trio: what is not there can't be
abused. `zk` has both sides for EZKL.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        BeyondHere,
        EngineBusy,
        EngineError,
        ExecutionTimeout,
        FilesNeeded,
        ModelFailed,
        ModelRefused,
        NotLoaded,
        WorkerDied,
    )
    from .inspection import inspect
    from .interface import SIDE_FILES
    from .jobs import Execution
    from .messages import Signature
    from .modelfile import ModelFile, OpenModel, sealed
    from .pool import Engine, ModelStatus, Settings, open_engine
    from .probing import Probe, ProbeReport, probe
    from .profiles import KINDS, PROFILES, Wanted
    from .tryout import Ready

__all__ = [
    "KINDS",
    "PROFILES",
    "SIDE_FILES",
    "BeyondHere",
    "Engine",
    "EngineBusy",
    "EngineError",
    "Execution",
    "ExecutionTimeout",
    "FilesNeeded",
    "ModelFailed",
    "ModelFile",
    "ModelRefused",
    "ModelStatus",
    "NotLoaded",
    "OpenModel",
    "Probe",
    "ProbeReport",
    "Ready",
    "Settings",
    "Signature",
    "Wanted",
    "WorkerDied",
    "inspect",
    "open_engine",
    "probe",
    "sealed",
]
_HOMES = {
    "errors": (
        "BeyondHere", "EngineBusy", "EngineError", "ExecutionTimeout", "FilesNeeded", "ModelFailed", "ModelRefused",
        "NotLoaded", "WorkerDied",
    ),
    "inspection": ("inspect",),
    "interface": ("SIDE_FILES",),
    "jobs": ("Execution",),
    "messages": ("Signature",),
    "modelfile": ("ModelFile", "OpenModel", "sealed"),
    "pool": ("Engine", "ModelStatus", "Settings", "open_engine"),
    "probing": ("Probe", "ProbeReport", "probe"),
    "profiles": ("KINDS", "PROFILES", "Wanted"),
    "tryout": ("Ready",),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    # On demand, because a worker imports this file too, and would pay 0.1 s at every start for trio, never used there.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
