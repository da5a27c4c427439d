"""The standard suite: models that every machine can have, so that figures of two of them can be compared.

The `light_*` topologies of the `onnx` package are real networks with constant weights: real work, and outputs without a
meaning. A model whose file no package brings is looked for in the store, under its name in this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wire.manifest import SignedManifest

from ..control import Emit
from ..errors import CommandError
from ..local import Local


@dataclass(frozen=True)
class Entry:
    """`name` is the model's name where it is added. `find` gives its file, None when this machine lacks it."""

    name: str
    find: Callable[[], Path | None]
    licence: str
    how: str  # to get it where it is lacking


def _light(topology: str) -> Entry:
    def find() -> Path | None:
        spec = find_spec("onnx")
        folders = spec.submodule_search_locations if spec else None
        file = Path(folders[0], "backend", "test", "data", "light", f"light_{topology}.onnx") if folders else None
        return file if file and file.is_file() else None

    name = f"suite-light-{topology.replace('_', '-')}"
    return Entry(name, find, "Apache-2.0", "it comes with the package onnx: pip install onnx")


def _magika() -> Path | None:
    from ..demo.magika import load_magika

    try:
        return load_magika().model
    except CommandError:  # the package is not installed
        return None


def _nowhere() -> Path | None:
    return None


_ADD = "hallmark model add FOLDER --licence SPDX --name"
STANDARD = (
    *map(
        _light,
        (
            "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet",
            "vgg19", "zfnet512",
        ),
    ),
    Entry("suite-magika", _magika, "Apache-2.0", "pip install 'hallmark[demo]'"),
    Entry("suite-minilm", _nowhere, "MIT", f"python -m bench.models.minilm FOLDER; {_ADD} suite-minilm"),
    Entry("suite-decoder", _nowhere, "Apache-2.0", f"python -m bench.models.decoder FOLDER; {_ADD} suite-decoder"),
)  # fmt: skip
SUITES = {"standard": STANDARD}


async def obtain(local: Local, entry: Entry, emit: Emit) -> SignedManifest | None:
    """The entry's model in this store, added when it was not there; None where this machine lacks its file.

    Errors as `model add` has them.
    """
    from ..operations.adding import add_model

    if held := local.store.models.find(entry.name):
        return held
    path = entry.find()
    if path is None:
        return None
    about: dict[str, Any] = {"path": str(path), "name": entry.name, "version": "1.0.0", "licence": entry.licence}
    about |= {"task": "", "description": "", "royalty_bps": 0}
    emit({"event": "adding", "text": f"adding {entry.name} to the store"})
    await add_model(local, about, emit)
    return local.store.models.find(entry.name)
