"""How the house is built: a package imports only what stands below it; numpy loads only where something computes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BELOW = {
    "wire": set[str](),
    "verify": {"wire"},
    "p2p": {"wire"},
    "storage": {"wire"},
    "engine": {"wire"},
    "settle": {"wire"},
    "node": {"wire", "verify", "p2p", "storage", "engine", "settle"},
}
OURS = {*BELOW, "tests", "bench"}
NUMERIC = {"numpy", "onnx", "onnxruntime", "tokenizers"}
MAY_COMPUTE = (  # files and folders; of the engine only what a worker process imports
    "wire/arrays.py",
    "verify/tolerance.py",
    "verify/forcing.py",
    "node/inputs.py",
    "node/benching/inputs.py",
    "node/demo/",
    "engine/backends/",
    "engine/external.py",
    "engine/generation/",
    "engine/screen.py",
    "engine/signature.py",
    "engine/text.py",
    "engine/tokeniser.py",
)
MOST_LINES = 500
FILES = sorted(path.relative_to(ROOT) for package in BELOW for path in (ROOT / package).rglob("*.py"))
ALL_FILES = FILES + sorted(p.relative_to(ROOT) for folder in ("tests", "bench") for p in (ROOT / folder).rglob("*.py"))


def imported(source: str, place: Path) -> Iterator[str]:
    """The full name of every module that the file's code imports, wherever in the file that stands."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, level=0):
                yield module or ""
            case ast.ImportFrom(module=module, level=level):
                above = place.parent.parts[: len(place.parent.parts) - level + 1]
                assert above, f"{place} imports from above its package"
                yield ".".join((*above, module) if module else above)


def breaches(source: str, place: Path) -> list[str]:
    """What in the file breaks the rule."""
    home = place.parts[0]
    found = []
    for name in imported(source, place):
        package = name.partition(".")[0]
        if package in OURS and package != home and package not in BELOW[home]:
            found.append(f"{place} imports {name}: {home} may import {', '.join(sorted(BELOW[home])) or 'nothing'}")
        if package in NUMERIC and not place.as_posix().startswith(MAY_COMPUTE):
            found.append(f"{place} imports {name}: only {', '.join(MAY_COMPUTE)} may")
    return found


@pytest.mark.parametrize("package", BELOW)
def test_every_package_is_looked_at(package: str) -> None:
    assert sum(place.parts[0] == package for place in FILES) >= 5


@pytest.mark.parametrize("place", FILES, ids=str)
def test_a_file_imports_only_what_stands_below_it(place: Path) -> None:
    assert not breaches((ROOT / place).read_text(), place)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("wire/keys.py", "import verify"),
        ("wire/keys.py", "def f():\n    from node.peer import Peer"),
        ("verify/round.py", "from p2p import Host"),
        ("p2p/host.py", "from storage.blobs import Blobs"),
        ("storage/store.py", "import engine.pool as pool"),
        ("engine/pool.py", "try:\n    import verify\nexcept ImportError:\n    pass"),
        ("engine/pool.py", "from node import peer"),
        ("node/peer.py", "from tests.verify import scenes"),
        ("node/peer.py", "import bench.tiers"),
        ("node/peer.py", "import numpy as np"),
        ("engine/pool.py", "import onnxruntime"),
        ("wire/tensors.py", "if True:\n    from numpy.typing import NDArray"),
    ],
)
def test_the_rule_notices(place: str, source: str) -> None:
    assert breaches(source, Path(place))


@pytest.mark.parametrize(
    ("place", "source", "name"),
    [
        ("node/cli/main.py", "from ..errors import Exit", "node.errors"),
        ("node/cli/main.py", "from . import screen", "node.cli"),
        ("node/opening.py", "from .roles.hub import run_hub", "node.roles.hub"),
    ],
)
def test_relative_imports_are_read(place: str, source: str, name: str) -> None:
    assert list(imported(source, Path(place))) == [name]


@pytest.mark.parametrize(
    "entry", ["node.opening", "node.serving", "node.cli.main", "node.cli.serve", "engine", "storage"]
)
def test_a_peer_that_does_not_compute_loads_no_numbers(entry: str) -> None:
    code = f"import sys, {entry}; print(sorted({NUMERIC!r} & {{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("place", ALL_FILES, ids=str)
def test_no_file_grows_beyond_the_bound(place: Path) -> None:
    assert len((ROOT / place).read_text().splitlines()) <= MOST_LINES
