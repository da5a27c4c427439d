"""The committed artefacts are what the sources here make: known by hashes always, made anew by `make test-contracts`.

`make compiler` brings the compiler and the libraries, `make contracts` writes the artefacts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

CONTRACTS = Path(__file__).parents[3] / "settle" / "contracts"
MADE = {"src": CONTRACTS.parent / "artifacts", "test": CONTRACTS / "test"}
NAMES = sorted((folder, path.stem) for folder in MADE for path in (CONTRACTS / folder).glob("*.sol"))
IMPORT = re.compile(r'^import\s[^"\';]*["\']([^"\']+)["\']', re.MULTILINE)
STALE = "not what the sources make: make contracts"

INSTALLED = all((CONTRACTS / "node_modules" / name).is_dir() for name in ("solc", "solhint", "@openzeppelin"))
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_compiler = pytest.mark.skipif(not INSTALLED, reason="the contracts' compiler is not installed: make compiler")


@cache
def committed(folder: str, name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((MADE[folder] / f"{name}.json").read_text())
    return data


def own_sources(path: Path) -> set[Path]:
    """A source and all of ours that it imports."""
    found, waiting = set[Path](), [path]
    while waiting:
        here = waiting.pop().resolve()
        if here not in found:
            found.add(here)
            waiting += [here.parent / to for to in IMPORT.findall(here.read_text()) if to.startswith(".")]
    return found


def test_every_contract_has_its_artefact_and_no_artefact_lacks_its_contract() -> None:
    for folder, made in MADE.items():
        assert {path.stem for path in made.glob("*.json")} == {name for at, name in NAMES if at == folder}


@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_an_artefact_is_of_the_sources_that_stand_here(folder: str, name: str) -> None:
    sources = own_sources(CONTRACTS / folder / f"{name}.sol")
    here = {str(path.relative_to(CONTRACTS)): sha256(path.read_bytes()).hexdigest() for path in sources}
    assert committed(folder, name)["own"] == here, STALE


@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_an_artefact_is_of_the_compiler_that_is_asked_for_and_fits_a_chain(folder: str, name: str) -> None:
    asked = json.loads((CONTRACTS / "package.json").read_text())["devDependencies"]["solc"]
    assert committed(folder, name)["compiler"].startswith(f"{asked}+commit.")
    assert len(committed(folder, name)["bytecode"]) <= 2 + 2 * 49_152  # EIP-3860


def test_what_is_installed_is_pinned_by_content_and_by_no_address() -> None:
    lock = json.loads((CONTRACTS / "package-lock.json").read_text())
    for path, package in lock["packages"].items():
        if path:
            assert "integrity" in package, path
            assert "resolved" not in package, path


@needs_node
@needs_compiler
@pytest.mark.skipif(not os.environ.get("HALLMARK_COMPILE"), reason="minutes of compiling: make test-contracts")
@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_the_compiler_makes_the_same_again(folder: str, name: str, tmp_path: Path) -> None:
    command = ["node", "build.mjs", name, "--from", folder, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=CONTRACTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "the compiler warns"
    assert json.loads((tmp_path / f"{name}.json").read_text()) == committed(folder, name), STALE


@needs_node
@needs_compiler
def test_the_linter_has_nothing_to_say() -> None:
    command = ["node", "node_modules/solhint/solhint.js", "--noPoster", "--max-warnings", "0", "{src,test}/**/*.sol"]
    done = subprocess.run(command, cwd=CONTRACTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
