"""docs/committees.md and its plots, from the trials and the exact odds beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.figures import percentile
from node.networkfile import new_network

from ..charts import Line as Curve
from ..charts import Mark, chart, doublings, linear, logarithmic
from .adversaries import COPIES, COPIES_A_LIE, GRINDS, LIES, REJECTS, RESERVES, SILENT, SPLITS, TRIES
from .costs import Roles
from .odds import Odds, at_least_once, interval
from .sweep import THIRD, Cell, Line, cells, digest
from .text import HEAD, NOT_CERTIFIED, READ, TIMES, UNEQUAL_TEXT
from .world import World

_EVERY = tuple(i / 100 for i in range(1, 51))


@dataclass(frozen=True)
class Report:
    """One run: its seed, its day, the command that made it, its trials, and what was measured beside them."""

    seed: int
    day: str
    command: str
    lines: Sequence[Line]
    operations: Mapping[str, float]  # µs
    roles: Sequence[Roles]

    @cached_property
    def cells(self) -> dict[tuple[str, str, int, float], Cell]:
        return cells(self.lines)

    def sizes(self, stakes: str = "equal") -> list[int]:
        return sorted({line.size for line in self.lines if line.stakes == stakes})

    def shares(self, scenario: str, stakes: str = "equal") -> list[float]:
        return sorted({line.share for line in self.lines if (line.stakes, line.scenario) == (stakes, scenario)})


Exact = Callable[[int, float], float]


def percent(value: float) -> str:
    """A probability for people."""
    if value <= 0:
        return "0"
    if value < 0.00095:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{100 * value:.2g}%" if value < 0.0995 else f"{100 * value:.0f}%"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _hits(cell: Cell, scenario: str) -> int:
    """How often the adversary had its way."""
    if scenario == SPLITS.name:
        return cell.results.get("both certified", 0)
    certified = cell.results.get("certified", 0)
    return cell.trials - certified if scenario in (SILENT.name, REJECTS.name, COPIES.name) else certified


def _counted(cell: Cell, scenario: str) -> str:
    hits = _hits(cell, scenario)
    low, high = interval(hits, cell.trials)
    around = f"≤ {percent(high)}" if hits == 0 else f"{percent(low)}–{percent(high)}"
    return f"{percent(hits / cell.trials)} ({around})"


def _chances(report: Report, scenario: str, exact: Exact, stakes: str = "equal") -> str:
    shares = report.shares(scenario, stakes)
    rows = []
    for size in report.sizes(stakes):
        found = [report.cells[stakes, scenario, size, share] for share in shares]
        said = [f"{_counted(c, scenario)} · **{percent(exact(size, f))}**" for c, f in zip(found, shares, strict=True)]
        rows.append([f"{size} ({found[0].trials:,})", *said])
    return _table(["members (trials)", *(f"f = {_share(f)}" for f in shares)], rows)


def _how(report: Report, scenario: str) -> str:
    """Whether those that were not certified were refused."""
    of = [c for (stakes, name, _, _), c in report.cells.items() if (stakes, name) == ("equal", scenario)]
    refused, left = (sum(c.results.get(result, 0) for c in of) for result in ("rejected", "inconclusive"))
    return f"`{scenario}`: of {refused + left:,} not certified, {refused:,} were refused and {left:,} stayed undecided."


def _share(share: float) -> str:
    return "1/3" if share == THIRD else f"{share:g}"


def _times(report: Report) -> str:
    rows = []
    for size in report.sizes():
        for share in [f for f in (0.0, 0.2, THIRD) if f in report.shares(SILENT.name)]:
            cell = report.cells["equal", SILENT.name, size, share]
            if not cell.proved_ms:
                continue
            least, most = cell.hops[0], percentile(cell.hops, 99)
            rows.append([
                str(size), _share(share), f"{len(cell.proved_ms):,}", f"{percentile(cell.proved_ms, 50):,.0f}",
                f"{percentile(cell.proved_ms, 99):,.0f}", f"{least} · {percentile(cell.hops, 50):.0f} · {most:.0f}",
                f"{cell.reserves:.1f}",
            ])  # fmt: skip
    head = ["members", "silent", "certified", "p50 ms", "p99 ms", "hops: least · p50 · p99", "reserves called"]
    return _table(head, rows)


def _roles(report: Report) -> str:
    head = ["what, one after the other (ms of processor)", *(f"{r.size} members" for r in report.roles)]
    steps: list[tuple[str, Callable[[Roles], float]]] = [
        ("convener: draws the committee", lambda r: r.convener_draws),
        ("one verifier: checks the request, draws, commits", lambda r: r.verifier_commits),
        ("convener: hears all commits", lambda r: r.convener_hears_commits),
        ("one verifier: checks the receipt, compares, votes", lambda r: r.verifier_judges),
        ("convener: hears all votes", lambda r: r.convener_hears_votes),
        ("convener: checks each vote again and aggregates", lambda r: r.convener_certifies),
        ("client: draws, checks the aggregate and every ballot", lambda r: r.client_checks),
        ("**critical path**", lambda r: r.path),
        ("of it the convener", lambda r: r.convener),
        ("of it one verifier", lambda r: r.verifier),
    ]
    rows = [[name, *(f"{value(r):.1f}" for r in report.roles)] for name, value in steps]
    rows.append(["signers", *(str(r.signers) for r in report.roles)])
    return _table(head, [*rows, ["hops", *(str(r.hops) for r in report.roles)]])


def _needed(odds: Odds) -> str:
    """The smallest committee for a share and a chance."""
    sizes = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
    rows = []
    for share in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, THIRD, 0.4):
        row = [_share(share)]
        for chance in (1e-3, 1e-6, 1e-9):
            size = next((k for k in sizes if odds.lie(k, share) < chance), None)
            row.append(f"{size} ({percent(odds.refused(size, share))})" if size else "more than 256")
        rows.append(row)
    return _table(["f", "below 1e-3", "below 1e-6", "below 1e-9 (a million tries: 1e-3)"], rows)


def _default(world: World, odds: Odds) -> str:
    size = new_network("default", [site.key.peer_id for site in world.sites]).committee_size
    members, places, most = odds.shape(size)
    rows = [
        [_share(f), percent(odds.lie(size, f)), percent(odds.lie_without_bench(size, f)),
         percent(odds.lie_binomial(size, f)), percent(at_least_once(odds.lie(size, f), 1000)),
         percent(odds.split(size, f)), percent(odds.refused(size, f))]
        for f in (0.05, 0.1, 0.2, 0.25, 0.3, THIRD, 0.4, 0.5)
    ]  # fmt: skip
    table = _table(
        ["f", "a false answer is certified", "the same without a bench", "binomial", "after 1,000 requests tried",
         "two receipts certified", "a true answer is not"], rows,
    )  # fmt: skip
    said = (
        f"`hallmark network new` writes a committee of {size} (or of all verifiers, when they are fewer) and a quorum "
        f"of two thirds: {members} members, {places - members} reserves, {most + 1} votes certify. With 998 verifiers:"
    )
    return f"{said}\n\n{table}"


def _agreement(report: Report, odds: Odds) -> str:
    """In how many cells the exact value lies in the interval."""
    inside = total = 0
    known: list[tuple[str, Exact]] = [(LIES.name, odds.lie), (RESERVES.name, odds.lie), (GRINDS, odds.ground)]
    for scenario, exact in known:
        for size in report.sizes():
            for share in report.shares(scenario):
                cell = report.cells["equal", scenario, size, share]
                low, high = interval(_hits(cell, scenario), cell.trials)
                total, inside = total + 1, inside + (low <= exact(size, share) <= high)
    return f"The exact value lies within the interval in {inside} of {total} cells of the three tables."


def page(world: World, report: Report) -> str:
    """The whole text."""
    odds = Odds(world)
    ran = sum(line.ran for line in report.lines)
    made = (
        f"Written by `{report.command}` on {report.day}: {len(report.lines):,} trials, of which {ran:,} were run as "
        f"rounds (the others the rule of evidence decides alone). Digest of the run: `{digest(report.lines)[:16]}`."
    )
    zero: Exact = lambda _size, _share: 0.0  # noqa: E731
    parts = [
        "# Committees under attack, simulated", made, HEAD,
        "## What follows", READ, _needed(odds), "### The network file's default", _default(world, odds),
        "## A false answer is certified",
        "![chance against f](committees/false-certified.svg)",
        "`lies`: the provider lies, the convener is honest.", _chances(report, LIES.name, odds.lie),
        "`reserves`: the convener lies too, hears only its own, and so calls the whole bench.",
        _chances(report, RESERVES.name, odds.lie),
        f"`grinds`: who asks lies too, and sends the best of {TRIES} requests.",
        _chances(report, GRINDS, odds.ground), _agreement(report, odds),
        "`copies a lie`: liars that execute nothing, and sign an honest one's commitment. Nothing of theirs counts.",
        _chances(report, COPIES_A_LIE.name, zero),
        "## A true answer is not certified",
        "![chance against f](committees/not-certified.svg)",
        NOT_CERTIFIED,
        _how(report, REJECTS.name), _chances(report, REJECTS.name, odds.refused),
        _how(report, SILENT.name), _chances(report, SILENT.name, odds.refused),
        _how(report, COPIES.name), _chances(report, COPIES.name, odds.refused),
        "## Two receipts for one request are both certified",
        "`splits`. The bold value is an upper bound: nobody dead, the honest halved evenly.",
        _chances(report, SPLITS.name, odds.split),
    ]  # fmt: skip
    if report.sizes("unequal"):
        parts += ["## Unequal stakes", UNEQUAL_TEXT, "`reserves`", _chances(report, RESERVES.name, odds.lie, "unequal"),
                  "`rejects`", _chances(report, REJECTS.name, odds.refused, "unequal")]  # fmt: skip
    measured = _table(["operation", "µs"], [[name, f"{us:,.0f}"] for name, us in report.operations.items()])
    parts += ["## Time to a certificate", "![time against size](committees/time.svg)", TIMES, _times(report),
              "## Processor time", _roles(report), measured]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def plots(world: World, report: Report) -> dict[str, str]:
    """The SVG files by name."""
    odds = Odds(world)
    across = linear(0, 0.5, [(f / 10, f"{f / 10:g}") for f in range(6)])
    axes = ("f, the adversary's share of the stake", "probability")
    lies = _curves(report, RESERVES.name, odds.lie, -9)
    refusals = _curves(report, REJECTS.name, odds.refused, -6)
    sizes = report.sizes()
    times = []
    for colour, share in ((1, 0.0), (5, 0.2)):
        found = [(size, report.cells["equal", SILENT.name, size, share].proved_ms) for size in sizes]
        for part, dashed in ((50, False), (99, True)):
            curve = [(float(size), percentile(ms, part)) for size, ms in found if ms]
            marks = [Mark(a, b, b, b) for a, b in curve]
            times.append(Curve(f"p{part}, f = {share:g}", curve, marks, dashed, colour))
    highest = max(b for one in times for _, b in one.curve)
    step = 250 if highest < 1500 else 500 if highest < 3000 else 1000
    up = linear(0, highest * 1.05, [(ms, f"{ms:,}") for ms in range(0, int(highest * 1.05) + 1, step)])
    return {
        "false-certified.svg": chart(
            "A false answer is certified: exact (lines) and simulated", across, logarithmic(-9, 0), axes, lies
        ),
        "not-certified.svg": chart(
            "A true answer is not certified: exact (lines) and simulated", across, logarithmic(-6, 0), axes, refusals
        ),
        "time.svg": chart(
            "Time to a certificate, the adversary's verifiers silent", doublings(sizes), up, ("members", "ms"), times
        ),
    }


def _curves(report: Report, scenario: str, exact: Exact, lowest: int) -> list[Curve]:
    drawn = []
    for colour, size in enumerate(report.sizes()):
        marks = []
        for share in report.shares(scenario):
            cell = report.cells["equal", scenario, size, share]
            hits = _hits(cell, scenario)
            low, high = interval(hits, cell.trials)
            if hits:  # none says no more than that the chance is small
                marks.append(Mark(share, hits / cell.trials, low, high))
        curve = [(f, chance) for f in _EVERY if (chance := exact(size, f)) >= 10.0**lowest]
        drawn.append(Curve(f"{size} members", curve, marks, colour=colour, shift=1.5 * (colour - 2.5)))
    return drawn
