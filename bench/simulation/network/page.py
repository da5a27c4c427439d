"""docs/simulation.md and its plots, from the runs of all scenarios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from ..charts import Line, chart, linear
from .run import Result, check
from .scenarios import NAMED
from .text import FOUND, HEAD, READ

_COLUMNS: list[tuple[str, Callable[[Result], str]]] = [
    ("scenario", lambda r: f"`{r.scenario}`"),
    ("honest + attackers", lambda r: f"{r.peers:,} + {r.attackers:,}" if r.attackers else f"{r.peers:,}"),
    ("offers said", lambda r: f"{r.offers}"),
    ("seen by", lambda r: share(r.seen)),
    ("the least seen", lambda r: share(r.worst)),
    ("p50 ms", lambda r: f"{r.p50_ms:,.0f}"),
    ("p99 ms", lambda r: f"{r.p99_ms:,.0f}"),
    ("messages a delivery", lambda r: f"{r.copies:.2f}"),
    ("attackers banned, times", lambda r: f"{r.bans:,}" if r.attackers else "–"),
    ("honest banned", lambda r: f"{r.wrong_bans}"),
    ("answers served", lambda r: f"{share(r.answered)} of {r.asked}" if r.asked else "–"),
]


def share(value: float) -> str:
    """For people: 100% is all."""
    return "100%" if value >= 1 else f"{100 * value:.2f}%" if value >= 0.99 else f"{100 * value:.1f}%"


def row(result: Result) -> str:
    """One line about a run, for a terminal."""
    more = f", {result.fetched:.0%} of {result.fetches} fetches" if result.fetches else ""
    more += f", {result.reach_right:.1%} know where they stand, {result.reserved:.1%} reserved" if result.homes else ""
    return (
        f"{result.scenario}: {result.offers} offers seen by {share(result.seen)} (least {share(result.worst)}), "
        f"p50 {result.p50_ms:.0f} ms, p99 {result.p99_ms:.0f} ms, {result.copies:.2f} messages a delivery, "
        f"{result.bans} bans, {result.wrong_bans} wrong, {share(result.answered)} of {result.asked} answers{more}; "
        f"{result.connections:.0f} connections, {result.events:,} events, {result.cpu_s:.0f} s, {result.digest[:16]}"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def _scenarios(results: Sequence[Result]) -> str:
    rows = [[f"`{one.scenario}`", NAMED[one.scenario].text] for one in results]
    return _table(["scenario", "what happens"], rows)


def _broken(results: Sequence[Result]) -> str:
    lines = [f"- `{one.scenario}`: {text}." for one in results for text in check(one, NAMED[one.scenario].limits)]
    return "\n".join(["Checks that this run breaks:", "", *lines]) if lines else "Every check held."


def _extras(results: Sequence[Result]) -> str:
    lines = []
    for one in results:
        if one.fetches:
            lines.append(
                f"`{one.scenario}`: {share(one.fetched)} of {one.fetches} fetches ended well, in "
                f"{one.fetch_p50_s:.1f} s (p50) and {one.fetch_p99_s:.1f} s (p99)."
            )
        if one.homes:
            lines.append(
                f"`{one.scenario}`: {share(one.reach_right)} of the honest know where they stand; of the private ones "
                f"{share(one.reserved)} hold two reservations or more."
            )
    return "\n\n".join(lines)


def page(results: Sequence[Result], command: str, day: str) -> str:
    """The whole text."""
    digest = blake2b("".join(one.digest for one in results).encode(), digest_size=8).hexdigest()
    events, cpu = sum(one.events for one in results), sum(one.cpu_s for one in results)
    made = (
        f"Written by `{command}` on {day}: {len(results)} scenarios, {events:,} events, {cpu / 60:.0f} minutes of "
        f"processor. Digest of the runs: `{digest}`."
    )
    parts = [
        "# A whole network, replayed", made, HEAD, "## Scenarios", _scenarios(results), "## What came of it",
        _table([name for name, _ in _COLUMNS], [[cell(one) for _, cell in _COLUMNS] for one in results]),
        _broken(results), _extras(results),
        "![offers seen](simulation/seen.svg)", "![delivery times](simulation/time.svg)",
        "## What follows", READ, "## What the replay found", FOUND,
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def plots(results: Sequence[Result]) -> dict[str, str]:
    """The SVG files by name: those scenarios in which something happens over time."""
    shown = [one for one in results if one.scenario in ("churn", "partition", "covert silence", "covert spam", "mixed")]
    seen, late = [], []
    for colour, one in enumerate(shown):
        seen.append(Line(one.scenario, _smooth([(at, share) for at, share, _ in one.over_time], min), colour=colour))
        late.append(Line(one.scenario, _smooth([(at, ms) for at, _, ms in one.over_time], max), colour=colour))
    end = max((at for one in shown for at, _, _ in one.over_time), default=60.0)
    across = linear(0, end, [(float(s), f"{s}") for s in range(0, int(end) + 1, 20)])
    highest = max((ms for line in late for _, ms in line.curve), default=1.0) * 1.05
    step = next(s for s in (50, 100, 250, 500, 1000, 5000, 20_000) if highest / s <= 12)
    up = linear(0, highest, [(float(ms), f"{ms:,}") for ms in range(0, int(highest) + 1, step)])
    percent = linear(0, 1.02, [(i / 5, f"{20 * i}%") for i in range(6)])
    return {
        "seen.svg": chart("Offers seen, the worst of each two seconds", across, percent, ("s", "seen by"), seen),
        "time.svg": chart(
            "Until the last peer had an offer, the worst of each two seconds", across, up, ("s", "ms"), late
        ),
    }


def _smooth(
    points: Sequence[tuple[float, float]], pick: Callable[[Sequence[float]], float]
) -> list[tuple[float, float]]:
    """One point for each two seconds."""
    found: dict[int, list[float]] = {}
    for at, value in points:
        found.setdefault(int(at // 2), []).append(value)
    return [(2.0 * at + 1, pick(values)) for at, values in sorted(found.items())]
