"""`make lab`: every scenario, a line for each thing found, and an exit code that is 0 only when all of it held.

python -m tests.lab [SCENARIO…] [--quick] [--write]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread

from tests.node.processes.running import ROOT

from .needs import lacks_mapping, missing
from .scenarios import SCENARIOS, WAITING, Skipped
from .table import Row, write
from .world import sweep

FIGURES = ROOT / "bench" / "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="Faults on real links.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="shorter outages, fewer repetitions")
    parser.add_argument("--write", action="store_true", help=f"keep what was found in {FIGURES.name}")
    asked = parser.parse_args()
    if unknown := [name for name in asked.scenarios if name not in SCENARIOS]:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    if lacks := missing():
        for lack in lacks:
            _say(f"SKIPPED: all of the laboratory: this machine lacks {lack}")
        return 1  # what did not run has not passed
    sweep()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        found, skipped = _run(asked.scenarios or list(SCENARIOS), asked.quick)
    finally:
        sweep(os.getpid())
    skipped += [f"routers that map ports on request: this machine lacks {lack}" for lack in lacks_mapping()]
    failed = [row for row in found if not row.held]
    _say(f"\n{len(found) - len(failed)} of {len(found)} held")
    for row in failed:
        _say(f"FAILED: {row.what}: {row.figure} (aim: {row.aim})")
    for line in skipped:
        _say(f"SKIPPED: {line}")
    if asked.write and not asked.scenarios and not asked.quick and not skipped:
        write(FIGURES, found, _told())
    return int(bool(failed))


def _run(names: list[str], quick: bool) -> tuple[list[Row], list[str]]:
    """All of these, one after the other; those that wait most of their time beside the others, from the second on."""
    beside = [_Beside(name, quick) for name in names[1:] if name in WAITING]
    ended = {}
    for number, name in enumerate(names):
        if number == 1:  # the first one measures the laboratory itself, and wants the processor for that
            for one in beside:
                one.start()
        if name not in [one.name for one in beside]:
            ended[name] = _one(name, quick, _say)
    for one in beside:
        ended[one.name] = one.result()
    in_order = [ended[name] for name in names]
    return [row for one in in_order for row in one.rows], [why for one in in_order for why in one.skipped]


@dataclass
class _Ended:
    """What a scenario found."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def _one(name: str, quick: bool, say: Callable[[str], None]) -> _Ended:
    ended, began = _Ended(), time.monotonic()
    say(f"\n{name}: {(SCENARIOS[name].__doc__ or '').splitlines()[0]}")
    try:
        for row in SCENARIOS[name](quick):
            ended.rows.append(row)
            say(f"  {'held  ' if row.held else 'FAILED'}  {row.what}: {row.figure} (aim: {row.aim})")
    except Skipped as why:
        ended.skipped.append(f"{name}: {why}")
        say(f"  SKIPPED: {why}")
    except Exception as error:  # whatever ends one scenario, the others still have something to say
        say(traceback.format_exc())
        ended.rows.append(Row(name, f"broken off: {error}", "an end", False))
    say(f"  {time.monotonic() - began:.0f} s")
    return ended


class _Beside:
    """A scenario in a thread of its own; what it says is told when it is asked for. It ends with the process."""

    def __init__(self, name: str, quick: bool) -> None:
        self.name = name
        self._said: list[str] = []
        self._ended = _Ended()
        self._thread = Thread(target=self._work, args=(quick,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def result(self) -> _Ended:
        """What it found, when it has ended."""
        self._thread.join()
        _say("\n".join(self._said))
        return self._ended

    def _work(self, quick: bool) -> None:
        self._ended = _one(self.name, quick, self._said.append)


def _told() -> str:
    load = os.getloadavg()[0]
    return (
        f"`make lab` ({time.strftime('%Y-%m-%d')}, {_state()}, {os.cpu_count()} cores, load {load:.0f}): peers in\n"
        "network namespaces behind NAT routers of the kernel's packet filter, joined by an emulated internet; each\n"
        "machine's link has 10 ms each way unless said otherwise."
    )


def _state() -> str:
    """Which state of the tree this is."""
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "*.py")
    return f"commit {commit}{' with changes' if changed else ''}" if commit else "no commit"


def _git(*words: str) -> str:
    try:
        ended = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or no history here
        return ""
    return ended.stdout.strip()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
