"""Replays every scenario on a whole network, and writes docs/simulation.md with its plots.

Hours of processor at 1,000 peers, shared by all cores: attackers that say much cost most. With `--peers 100` it takes
three minutes, prints, and writes only where `--out` says.

    python -m bench.simulation.network [--peers N] [--seed N] [--scenario NAME] [--out DIR] [--processes N] [--trace]
        [--resume FILE]

A check that breaks ends the run with status 1, and says how to see it again.
"""

from __future__ import annotations

import argparse
import resource
import sys
from datetime import date
from itertools import chain
from pathlib import Path

from .kept import Kept
from .page import page, plots, row
from .replaying import one, replayed
from .run import Failed, check
from .scenarios import ALL, NAMED

DOCS = Path(__file__).resolve().parents[3] / "docs"
PEERS = 1_000


def main() -> None:
    """Run, write, and say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, default=PEERS, help="honest ones; a quarter as many attack")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another network and other chances")
    parser.add_argument("--scenario", choices=sorted(NAMED), action="append", help="this one alone; may be repeated")
    parser.add_argument("--out", type=Path, help="a folder for simulation.md and simulation/*.svg (default: docs/)")
    parser.add_argument("--processes", type=int, default=0, help="scenarios at once (default: one a core)")
    parser.add_argument("--trace", action="store_true", help="print every event; for one scenario")
    parser.add_argument("--keep-going", action="store_true", help="a check that breaks is told at the end")
    parser.add_argument("--resume", type=Path, help="keep each result in this file, and run none again that it has")
    options = parser.parse_args()
    names = options.scenario or [scenario.name for scenario in ALL]
    if options.trace:
        print(row(one(names[0], options.peers, options.seed, trace=True)))
        return
    kept = Kept(options.resume) if options.resume else None
    results = kept.results(names, options.peers, options.seed) if kept else []
    left, broken = [name for name in names if name not in {one.scenario for one in results}], list[str]()
    try:
        for result in chain(
            results.copy(), replayed(left, options.peers, options.seed, options.processes, options.keep_going)
        ):
            if result.scenario in left:
                results.append(result)
                if kept:
                    kept.keep(result)
            print(row(result), flush=True)
            broken += [f"{result.scenario}: {text}" for text in check(result, NAMED[result.scenario].limits)]
    except Failed as failed:
        sys.exit(str(failed))
    out = options.out or (DOCS if options.peers == PEERS and not options.scenario else None)
    if out is not None:
        results.sort(key=lambda result: names.index(result.scenario))
        command = f"python -m bench.simulation.network --seed {options.seed}"
        command += f" --peers {options.peers}" if options.peers != PEERS else ""
        (out / "simulation").mkdir(parents=True, exist_ok=True)
        (out / "simulation.md").write_text(page(results, command, date.today().isoformat()))
        for name, drawn in plots(results).items():
            (out / "simulation" / name).write_text(drawn)
        print(f"written to {out / 'simulation.md'}")
    used = resource.getrusage(resource.RUSAGE_SELF if options.processes == 1 else resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime:.0f} s of processor, {used.ru_maxrss / 1024:.0f} MiB in the largest process")
    if broken:
        sys.exit("\n".join(broken))


if __name__ == "__main__":
    main()
