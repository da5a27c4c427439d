"""Simulates committees of all sizes under every adversary, and writes docs/committees.md with its plots.

A few minutes on two cores; `--quick` takes seconds, prints, and writes only where `--out` says.

    python -m bench.simulation.committees [--seed N] [--quick] [--out DIR] [--processes N] [--trial NAME]

A rule that breaks ends the run with status 1, and says how its trial can be seen alone:
`--trial equal:rejects/16/0.3000/41` prints every event of that one.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import date
from pathlib import Path

from .adversaries import SCENARIOS
from .costs import RECOVERY, operations, roles
from .page import Report, page, plots
from .rules import Broken
from .sweep import FULL, QUICK, UNEQUAL, digest, one, run
from .world import World

DOCS = Path(__file__).resolve().parents[3] / "docs"


def main() -> None:
    """Run, write, and say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="another seed is another network and other requests")
    parser.add_argument("--quick", action="store_true", help="few trials of two sizes")
    parser.add_argument("--out", type=Path, help="a folder for committees.md and committees/*.svg (default: docs/)")
    parser.add_argument("--processes", type=int, default=0, help="processes at once (default: one a core)")
    parser.add_argument("--trial", help="one trial alone, with every event")
    options = parser.parse_args()
    try:
        if options.trial:
            _replay(options.seed, options.trial)
            return
        lines = run(options.seed, [QUICK] if options.quick else [FULL, UNEQUAL], options.processes, _progress)
    except Broken as broken:
        name, what = broken.args
        sys.exit(
            f"A rule broke in trial {name} of seed {options.seed}: {what}.\n"
            f"See it alone: python -m bench.simulation.committees --seed {options.seed} --trial '{name}'"
        )
    world = World(options.seed)
    costs = operations(world, 20 if options.quick else 200)
    sizes = (16,) if options.quick else (4, 16, 64)
    report = Report(
        options.seed,
        date.today().isoformat(),
        "python -m bench.simulation.committees" + (" --quick" if options.quick else "") + f" --seed {options.seed}",
        lines,
        costs,
        [roles(world, size, 2 if options.quick else 8, costs[RECOVERY] / 1000) for size in sizes],
    )
    text = page(world, report)
    out = options.out or (None if options.quick else DOCS)
    if out is None:
        print(text)
        return
    (out / "committees").mkdir(parents=True, exist_ok=True)
    (out / "committees.md").write_text(text)
    for name, drawn in plots(world, report).items():
        (out / "committees" / name).write_text(drawn)
    print(f"{len(lines)} trials, digest {digest(lines)[:16]}; written to {out / 'committees.md'}")


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {of} parts", end="\n" if done == of else "", file=sys.stderr, flush=True)


def _replay(seed: int, name: str) -> None:
    """Every event of one trial, as the product's round took them."""
    found = re.fullmatch(r"(\w+):([\w ]+)/(\d+)/([\d.]+)/(\d+)", name)
    if found is None or found[2] not in SCENARIOS:
        sys.exit(f"{name} is no trial: they are named like equal:rejects/16/0.3000/41")
    world, scenario = World(seed, stakes=found[1]), SCENARIOS[found[2]]
    result, _, _ = one(world, scenario, int(found[3]), float(found[4]), int(found[5]), trace=sys.stdout.write)
    print(result)


if __name__ == "__main__":
    main()
