"""What a command loads: only what it needs, since each of the large libraries costs more than the command itself."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from node.control import Emit, serve_control
from node.datadir import DataDir
from node.local import initialise
from node.operations import LOCAL, NETWORKED, load_all

NETWORK = {"libp2p", "p2p"}
STORE = {"lmdb"}
LARGE = {"numpy", "onnx", "onnxruntime", "tokenizers", "pytest", "tests"}
CODE = """
import sys
from node.cli.main import main
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


@pytest.fixture
def made() -> Iterator[DataDir]:
    """A peer's directory, with a name that is short enough for a socket's."""
    with tempfile.TemporaryDirectory(prefix="hm-") as folder:
        directory = DataDir(Path(folder) / "home")
        initialise(directory, None)
        yield directory


def command(words: str, directory: DataDir) -> list[str]:
    return [sys.executable, "-c", CODE, *words.split(), "--data-dir", str(directory.path)]


def loaded(stderr: str) -> set[str]:
    """The packages that it named last."""
    return set(stderr.splitlines()[-1].split())


def test_help_loads_no_command() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE, "--help"], capture_output=True, text=True, check=True)
    assert "infer" in ended.stdout
    assert not loaded(ended.stderr) & (NETWORK | STORE | LARGE | {"trio", "rich", "msgspec", "engine", "storage"})


@pytest.mark.parametrize(
    ("words", "code", "unneeded"),
    [
        ("id", 0, NETWORK | STORE | LARGE | {"trio", "rich", "engine", "storage"}),
        ("config show", 0, NETWORK | STORE | LARGE | {"trio", "storage"}),
        ("petname ls", 0, NETWORK | STORE | LARGE | {"trio", "engine", "storage"}),
        ("network show NETWORK", 0, NETWORK | STORE | LARGE),
        ("verify node.key", 8, NETWORK | STORE | LARGE | {"rich"}),
        ("store stat --json", 0, {"libp2p", "rich"} | LARGE),
        ("model ls --json", 0, {"libp2p", "rich"} | LARGE),
    ],
)
def test_a_command_without_the_network_loads_none(made: DataDir, words: str, code: int, unneeded: set[str]) -> None:
    (network,) = made.networks.iterdir()
    words = words.replace("NETWORK", network.stem)
    ended = subprocess.run(command(words, made), cwd=made.path, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == code, ended.stderr
    assert not loaded(ended.stderr) & unneeded


@pytest.mark.parametrize("words", ["ps", "peers", "model search", "infer m --prompt a", "bench --model m", "store gc"])
async def test_a_command_that_a_running_node_answers_loads_no_peer_of_its_own(made: DataDir, words: str) -> None:
    asked = []

    async def run(name: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
        asked.append(name)
        raise FileNotFoundError(name)  # what is shown is not what is looked at here

    async with serve_control(made.socket, run):
        ended = await trio.run_process(command(words, made), capture_stdout=True, capture_stderr=True, check=False)
    assert len(asked) == 1, ended.stderr.decode()
    unneeded = NETWORK | STORE | {"onnx", "onnxruntime", "tokenizers", "pytest", "engine.pool"}
    assert not loaded(ended.stderr.decode()) & unneeded


def test_a_peer_loads_nothing_that_is_for_tests() -> None:
    code = "import sys, node.serving; print(*{'pytest', 'trio.testing', 'bench', 'tests'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == []


def test_every_operation_is_there() -> None:
    assert LOCAL.keys().isdisjoint(NETWORKED)
    load_all()
