"""The previous release, taken from the project's history, to be run beside this one."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

from .running import ROOT

RELEASE, COMMIT = "0.1.0", "8c9ac51"
_PACKAGES = ("wire", "p2p", "storage", "engine", "settle", "verify", "node")

# The workers of models run isolated from the environment, so that they have to be led to the release by hand.
_WORKER = """#!/bin/sh
shift 2
exec {python} -I -c "import sys, runpy
sys.path.insert(0, {place!r})
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)" "$@"
"""
_PROGRAM = """import sys
sys.path.insert(0, {place!r})
import node, engine.process
assert node.__file__.startswith({place!r})
engine.process.sys = type(sys)("sys")
vars(engine.process.sys).update(vars(sys), executable={worker!r})
from node.cli.main import main
main()
"""


def in_history() -> bool:
    """Whether the release can be taken from the history: an archive of the sources alone has none."""
    if not (ROOT / ".git").exists():
        return False
    found = subprocess.run(
        ["git", "cat-file", "-e", f"{COMMIT}^{{commit}}"], cwd=ROOT, capture_output=True, check=False
    )
    return found.returncode == 0


def unpack(place: Path) -> tuple[str, ...]:
    """Put the release into a folder; what to give to `python` to run its `hallmark`."""
    packed = subprocess.run(["git", "archive", COMMIT, *_PACKAGES], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(place, filter="data")
    about = place / f"hallmark-{RELEASE}.dist-info"  # what it calls itself to others
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: hallmark\nVersion: {RELEASE}\n")
    worker = place / "worker"
    worker.write_text(_WORKER.format(python=sys.executable, place=str(place)))
    worker.chmod(0o755)
    return ("-c", _PROGRAM.format(place=str(place), worker=str(worker)))
