"""The compiled contracts, as they are committed: ABI and bytecode of each. `settle/contracts/build.mjs` makes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Artefact:
    """One contract. `sources` is the hash of everything it was compiled from."""

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    sources: str


@cache
def artefact(name: str) -> Artefact:
    """The contract of this name; FileNotFoundError when there is none."""
    data = json.loads((files("settle") / "artifacts" / f"{name}.json").read_text())
    return Artefact(name, tuple(data["abi"]), bytes.fromhex(data["bytecode"].removeprefix("0x")), data["sources"])
