"""`make lab`: every scenario, a line for each thing found, and an exit code that is 0 only when all of it held.

python -m tests.lab [SCENARIO…] [--quick] [--write]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from .needs import lacks_mapping, missing
from .scenarios import SCENARIOS, Skipped
from .table import Row, write
from .world import sweep

FIGURES = Path(__file__).resolve().parents[2] / "bench" / "README.md"


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
    found, skipped = _run(asked.scenarios or list(SCENARIOS), asked.quick)
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
    found: list[Row] = []
    skipped: list[str] = []
    for name in names:
        _say(f"\n{name}: {(SCENARIOS[name].__doc__ or '').splitlines()[0]}")
        began = time.monotonic()
        try:
            for row in SCENARIOS[name](quick):
                found.append(row)
                _say(f"  {'held  ' if row.held else 'FAILED'}  {row.what}: {row.figure} (aim: {row.aim})")
        except Skipped as why:
            skipped.append(f"{name}: {why}")
            _say(f"  SKIPPED: {why}")
        except Exception as error:  # whatever ends one scenario, the others still have something to say
            traceback.print_exc()
            found.append(Row(name, f"broken off: {error}", "an end", False))
        _say(f"  {time.monotonic() - began:.0f} s")
    return found, skipped


def _told() -> str:
    load = os.getloadavg()[0]
    return (
        f"`make lab` ({time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load {load:.0f} at its end): peers in\n"
        "network namespaces behind NAT routers of the kernel's packet filter, joined by an emulated internet; each\n"
        "machine's link has 10 ms each way unless said otherwise."
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
