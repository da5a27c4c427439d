"""Scenarios by name, one after the other or several at once, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence

from .run import Failed, Result, Run, check
from .scenarios import NAMED


def one(name: str, peers: int, seed: int, *, trace: bool = False, keep_going: bool = True) -> Result:
    """One scenario. Failed, with how to see it again, when a check breaks and it is not to keep going."""
    scenario = NAMED[name]
    result = Run(scenario, peers, peers // 4, seed, sys.stdout.write if trace else None).live()
    broken = check(result, scenario.limits)
    if broken and not keep_going:
        command = f"python -m bench.simulation.network --scenario '{name}' --peers {peers} --seed {seed}"
        raise Failed(
            f"{name}, seed {seed}, after {scenario.seconds:.0f} s: {'; '.join(broken)}\nSee it again: {command}"
        )
    return result


def replayed(names: Sequence[str], peers: int, seed: int, processes: int, keep_going: bool) -> Iterator[Result]:
    """The results as they come, of so many scenarios at once (0: one a core)."""
    tasks = [(name, peers, seed, keep_going) for name in names]
    count = min(processes or os.cpu_count() or 1, len(tasks))
    if count <= 1:
        yield from map(_one, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        yield from pool.imap_unordered(_one, tasks)


def _one(task: tuple[str, int, int, bool]) -> Result:
    name, peers, seed, keep_going = task
    return one(name, peers, seed, keep_going=keep_going)
