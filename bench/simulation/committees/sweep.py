"""Every scenario, size and share, over and over: what to run, on which seeds, and what is counted.

A trial is named `stakes:scenario/size/share/index`; its name and the run's seed are all that it depends on. A false
answer can be certified only where the adversary's places count more than the quorum: that is the rule of evidence, so
trials in which they do not are counted without being run, but for the first `CHECKED` of each cell, which show it.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from itertools import groupby
from random import Random

from verify.committee import Committee

from .adversaries import GRINDS, RESERVES, SCENARIOS, SPLITS, TRIES, Conduct, Scenario
from .rules import Broken, broken_rule
from .trial import Trial, Verdicts
from .words import DOUBLE, Words
from .world import World, weight_of

CHECKED = 5


@dataclass(frozen=True)
class Plan:
    """Shares of stake, and by committee size how many requests: with a false answer, and with a true one."""

    false_shares: tuple[float, ...]
    true_shares: tuple[float, ...]
    false: Mapping[int, int]
    true: Mapping[int, int]
    stakes: str = "equal"


THIRD = 0.3333  # a name says a share to four digits
FULL = Plan(
    (0.1, 0.2, 0.25, 0.3, THIRD, 0.4, 0.45, 0.5),
    (0.0, 0.1, 0.2, THIRD, 0.5),
    {4: 2000, 8: 2000, 16: 2000, 32: 1000, 64: 500, 128: 300},
    {4: 400, 8: 400, 16: 400, 32: 120, 64: 60, 128: 30},
)
UNEQUAL = Plan((0.2, THIRD, 0.5), (0.0, 0.2, THIRD), {16: 500, 64: 200}, {16: 60, 64: 15}, "unequal")
QUICK = Plan((0.2, 0.5), (0.0, 0.2), {4: 20, 16: 20}, {4: 6, 16: 3})


@dataclass(frozen=True)
class Line:
    """One trial's result. `ran` is False where the rule of evidence alone decided."""

    stakes: str
    scenario: str
    size: int
    share: float
    index: int
    result: str
    ran: bool
    verdicts: Verdicts | None = None

    def __str__(self) -> str:
        v = self.verdicts
        how = f"{v.accept} {v.reject} {v.reserves} {v.decided_us} {v.proved_us} {v.hops} {v.digest}" if v else "-"
        return f"{name_of(self.stakes, self.scenario, self.size, self.share, self.index)} {self.result} {how}"


def name_of(stakes: str, scenario: str, size: int, share: float, index: int) -> str:
    """What a trial is called."""
    return f"{stakes}:{scenario}/{size}/{share:.4f}/{index}"


@lru_cache(2)
def _world(seed: int, stakes: str) -> World:
    return World(seed, stakes=stakes)


@lru_cache(64)
def _adversary(seed: int, stakes: str, share: float) -> frozenset[int]:
    return _world(seed, stakes).adversary(share)


def one(
    world: World,
    scenario: Scenario,
    size: int,
    share: float,
    index: int,
    words: Words = DOUBLE,
    trace: Callable[[str], object] = lambda _: None,
) -> tuple[str, Verdicts, Trial]:
    """Run one trial, a split's two halves one after the other. Broken when a rule does not hold."""
    name = name_of(world.stakes, scenario.name, size, share, index)
    request, adversary = world.request(size, index), world.adversary(share)
    results = []
    try:
        for half in range(2 if scenario is SPLITS else 1):
            rng = Random(f"{world.seed} {name} {half}")
            trial = Trial(world, scenario, request, adversary, words, rng, half=half, trace=trace)
            verdicts = trial.run()
            assert trial.outcome is not None
            if wrong := broken_rule(world, scenario, trial.round.committee, adversary, trial.outcome):
                raise Broken(name, wrong)
            results.append(verdicts.result)
    except Broken:
        raise
    except Exception as error:
        raise Broken(name, f"{type(error).__name__}: {error}") from error
    if scenario is SPLITS:
        return ("both certified" if set(results) == {"certified"} else "not both"), verdicts, trial
    return results[0], verdicts, trial


def _task(seed: int, plan: Plan, size: int, indices: range) -> list[Line]:
    world, lines = _world(seed, plan.stakes), list[Line]()
    drawn = {i: world.committee(world.request(size, i)) for i in indices}
    for scenario in SCENARIOS.values():
        most = (plan.false if scenario.false else plan.true)[size]
        for share in plan.false_shares if scenario.false else plan.true_shares:
            lines += [_line(seed, plan, scenario, size, share, i, drawn[i]) for i in indices if i < most]
            if scenario is RESERVES:
                lines += _grinds(world, lines[-len(indices) :], drawn, share)
    return lines


def _line(seed: int, plan: Plan, scenario: Scenario, size: int, share: float, i: int, drawn: Committee) -> Line:
    world, adversary = _world(seed, plan.stakes), _adversary(seed, plan.stakes, share)
    able = scenario.conduct is not Conduct.COPY and drawn.carries(weight_of(world, drawn, adversary))
    line = partial(Line, plan.stakes, scenario.name, size, share, i)
    if scenario.false and not able and i >= CHECKED:
        return line("not certified", False)
    result, verdicts, _ = one(world, scenario, size, share, i)
    return line(result, True, verdicts)


def _grinds(world: World, lines: Sequence[Line], drawn: Mapping[int, Committee], share: float) -> Iterator[Line]:
    """Of each `TRIES` requests the one whose committee the adversary likes best; it was sent already, as `reserves`."""
    adversary = _adversary(world.seed, world.stakes, share)
    for start in range(0, len(lines) - TRIES + 1, TRIES):
        best = max(lines[start : start + TRIES], key=lambda line: weight_of(world, drawn[line.index], adversary))
        yield Line(best.stakes, GRINDS, best.size, share, best.index, best.result, best.ran, best.verdicts)


def run(
    seed: int, plans: Sequence[Plan], processes: int = 0, told: Callable[[int, int], object] = lambda _, __: None
) -> list[Line]:
    """All trials of all plans, in one order however many processes there are. Broken as soon as a rule breaks.

    `told` hears how many parts of how many are done.
    """
    tasks = [
        (seed, plan, size, range(start, min(start + 50, plan.false[size])))
        for plan in plans
        for size in sorted(plan.false, reverse=True)  # the longest first
        for start in range(0, plan.false[size], 50)
    ]
    found = list[Line]()
    with ExitStack() as stack:
        if (processes or os.cpu_count() or 1) == 1:
            parts: Iterable[list[Line]] = map(_part, tasks)
        else:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(processes or None))
            parts = pool.imap_unordered(_part, tasks)
        for done, part in enumerate(parts, 1):
            found += part
            told(done, len(tasks))
    return sorted(found, key=_order)


def _part(task: tuple[int, Plan, int, range]) -> list[Line]:
    return _task(*task)


def _order(line: Line) -> tuple[str, str, int, float, int]:
    return line.stakes, line.scenario, line.size, line.share, line.index


def digest(lines: Sequence[Line]) -> str:
    """What two runs of one seed share: the hash of every trial's events and result."""
    return sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


@dataclass(frozen=True)
class Cell:
    """One scenario, size and share, counted."""

    trials: int
    ran: int
    results: Mapping[str, int]
    proved_ms: Sequence[float]  # of those that were certified, sorted
    hops: Sequence[int]
    reserves: float  # called, on average


def cells(lines: Sequence[Line]) -> dict[tuple[str, str, int, float], Cell]:
    """By stakes, scenario, size and share."""
    counted = {}
    for key, group in groupby(lines, key=lambda line: (line.stakes, line.scenario, line.size, line.share)):
        these = list(group)
        said = [line.verdicts for line in these if line.verdicts is not None]
        results = {name: sum(line.result == name for line in these) for name in {line.result for line in these}}
        proved = sorted(v.proved_us / 1000 for v in said if v.proved_us is not None)
        hops = sorted(v.hops for v in said if v.proved_us is not None)
        called = sum(v.reserves for v in said) / len(said) if said else 0.0
        counted[key] = Cell(len(these), len(said), results, proved, hops, called)
    return counted
