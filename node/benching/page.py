"""The report: one HTML file that shows everything measured, and fetches nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import CommandError, Exit
from .plots import COLOURS, Point, Series, plot
from .tables import limits, ms, notes, number, passed, percent, short, whole

Row = dict[str, Any]
_RANGE = 1000  # the widest range of a plot that also shows the direct loop

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5d6670; --line: #d9dee3; --paper: #fff; --bad: #b3261e;
  --c0: #0067b1; --c1: #c4500a; --c2: #00805a; --c3: #a8437a; --c4: #8a6d00; --c5: #2a7fa8; --c6: #6a4fb0;
  --c7: #5d6670; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --soft: #9aa5b0; --line: #323a43; --paper: #14181c; --bad: #ff8a80;
    --c0: #5cb3ff; --c1: #ff9a5c; --c2: #3ddba4; --c3: #f28cc2; --c4: #e8c33a; --c5: #7fd3f5; --c6: #b7a0ff;
    --c7: #9aa5b0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.2rem 0 0; }
p, li { margin: .2rem 0; } .soft { color: var(--soft); font-size: .88rem; }
.bad { color: var(--bad); font-weight: 600; }
code { font-size: .85em; overflow-wrap: anywhere; }
figure { margin: 1rem 0; max-width: 40rem; } svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .3rem .7rem .3rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } th:first-child, td:first-child, td.left, th.left { text-align: left; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 50%; margin-right: .4rem; }
ul { padding: 0; list-style: none; } li { overflow-wrap: anywhere; } li.in { padding-left: 1rem; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg text { fill: var(--soft); font-size: 11px; }
svg .middle { text-anchor: middle; } svg .end { text-anchor: end; }
svg .mark { fill: var(--ink); font-weight: 600; }
svg polyline { fill: none; stroke-width: 2; } svg circle { stroke: var(--paper); stroke-width: 1.5; }
svg polyline.faint { stroke-dasharray: 5 4; stroke-width: 1.5; opacity: .75; } svg circle.faint { opacity: .75; }
"""
_METHOD = """
<h2>How it was measured</h2>
<p>Each step is a <b>closed loop</b>: so many clients, each with one request in flight, which asks again as soon as
it was answered. A slow answer therefore delays the next question, and the requests that would have waited meanwhile
are not in the percentiles (coordinated omission): they say what such clients see, not what arrives at a fixed
rate.</p>
<p>Every request is signed and has a nonce of its own. An answer is counted when it came within the step's time, its
receipt and proof hold, and it equals the reference; one that differs is counted as wrong, and nowhere else. A
warm-up, in which every client is answered once, is not counted. Latency is from signing the request to the checked
answer. A percentile is the nearest rank. Items a second is the median over equal slices of the step's time; an item
is one row of the input. The backend is what the receipts name. <b>compute</b> is the part of the latency that the
receipts say was execution, <b>batch</b> and <b>largest</b> how many requests they say were executed together, in
the median and at most, <b>of direct</b> the part of the rate that this machine's direct loop reaches at the
same batch. Bytes are those of the tensors. The inputs take turns, so a provider that remembers answers could give
them again: the reference shows that they are right, not that they were computed anew.</p>
"""


def write_page(path: Path, result: Row, params: Row) -> None:
    """Write the report; CommandError when that cannot be."""
    try:
        path.write_text(page(result, params, datetime.now(UTC)), encoding="utf-8")
    except OSError as error:
        raise CommandError(Exit.STORAGE, f"the report cannot be written to {path}: {error.strerror}") from error


def page(result: Row, params: Row, when: datetime) -> str:
    """The whole file. Models' names are strangers' words, and stand in it as text only."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}"
    about = f"{when:%Y-%m-%d %H:%M} UTC · hallmark {version('hallmark')} · measured from {machine}"
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><title>hallmark bench</title>',
            f"<style>{_STYLE}{_colours()}</style></head><body>",
            f'<h1>hallmark bench</h1><p class="soft">{escape(about)}</p>',
            *(_section(model, params) for model in result["models"]),
            _METHOD,
            "</body></html>\n",
        ]
    )


def _colours() -> str:
    return "".join(
        f"svg polyline.c{n} {{ stroke: var(--c{n}); }} svg circle.c{n}, .key.c{n} {{ fill: var(--c{n}); "
        f"background: var(--c{n}); }}\n"
        for n in range(COLOURS)
    )


def _section(model: Row, params: Row) -> str:
    parts = [f"<h2>{escape(model['name'])}</h2>"]
    if "left_out" in model:
        return "".join([*parts, f'<p class="bad">Left out: {escape(model["left_out"])}</p>'])
    parts.append(f'<p class="soft"><code>{escape(model["model"])}</code></p>')
    parts.append(f'<p class="soft">{model["inputs"]} inputs: {escape(", ".join(model["shapes"]))}</p>')
    parts.append(f'<p class="soft">Reference: {escape(model["reference"])}</p>')
    steps, direct = model.get("steps", []), model.get("direct", [])
    if steps:
        asked = f"tier {params['tier']}, {params['duration']:g} s a step"
        parts.append(f'<p class="soft">{escape(asked)}</p>')
    peers = list(dict.fromkeys(step["peer"] for step in steps))
    series = _series(peers, steps, direct)
    if drawn := plot(series):
        parts.append(f"<figure>{drawn}{_legend(peers, len(series) > 2 * len(peers))}</figure>")
    if direct:
        parts.append(_direct(direct))
        parts.append(f'<ul class="soft">{"".join(map(_note, passed(direct)))}</ul>')
    if steps:
        parts.append(_steps(peers, steps))
        parts.append(f'<ul class="soft">{"".join(map(_note, [*notes(steps), *limits(steps)]))}</ul>')
    return "".join(parts)


def _series(peers: Sequence[str], steps: Sequence[Row], direct: Sequence[Row]) -> list[Series]:
    found = []
    for colour, peer in enumerate(peers):
        mine = [step for step in steps if step["peer"] == peer and step["requests"]]
        for what, faint in (("p99_us", True), ("p50_us", False)):
            points = [
                Point(
                    step["items_per_s"], step[what] / 1000, "" if faint else str(step["clients"]),
                    f"{short(peer)}, {step['clients']} clients: {number(step['items_per_s'])} items/s, "
                    f"{what.removesuffix('_us')} {ms(step[what])} ms",
                )
                for step in mine
            ]  # fmt: skip
            found.append(Series(points, colour, faint))
    loop = [
        Point(
            row["items_per_s"], row["p50_us"] / 1000, f"×{row['batch']}",
            f"direct loop, batch {row['batch']}: {number(row['items_per_s'])} items/s, p50 {ms(row['p50_us'])} ms",
        )
        for row in direct
        if row["items_per_s"]
    ]  # fmt: skip
    served = [point for one in found for point in one.points]
    return [*found, Series(loop, COLOURS - 1)] if loop and _comparable([*loop, *served]) else found


def _comparable(points: Sequence[Point]) -> bool:
    """Whether the direct loop can stand in one plot with what was served, without pressing that into a corner."""
    return all(max(values) <= _RANGE * min(values) for values in ([p.x for p in points], [p.y for p in points]))


def _legend(peers: Sequence[str], direct: bool) -> str:
    keys = [f'<li><span class="key c{i % COLOURS}"></span>{escape(short(peer))}</li>' for i, peer in enumerate(peers)]
    if direct:
        keys.append(f'<li><span class="key c{COLOURS - 1}"></span>direct loop, by batch</li>')
    told = '<li class="soft">Solid: p50, with the number of clients. Dashed: p99.</li>' if peers else ""
    return f"<figcaption><ul>{''.join(keys)}{told}</ul></figcaption>"


def _steps(peers: Sequence[str], steps: Sequence[Row]) -> str:
    heads = (
        "peer",
        "clients",
        "items/s",
        "mean",
        "p50 ms",
        "p99 ms",
        "max ms",
        "batch",
        "largest",
        "failed",
        "wrong",
        "compute",
        "of direct",
    )
    rows = []
    for peer in peers:
        for step in (step for step in steps if step["peer"] == peer):
            rate = step["items_per_s"] if step["requests"] else None
            mean = step["mean_items_per_s"] if step["requests"] else None
            cells = [
                short(peer), str(step["clients"]), number(rate), number(mean), ms(step["p50_us"]), ms(step["p99_us"]),
                ms(step["max_us"]), whole(step["batch_p50"]), whole(step["batch_max"]), whole(step["failed"]),
                whole(step["wrong"]), percent(step["compute_share"]), percent(step["share_of_direct"]),
            ]  # fmt: skip
            rows.append(cells)
    return _table(heads, rows)


def _direct(direct: Sequence[Row]) -> str:
    rows = [
        [
            "direct loop", str(row["batch"]), number(row["items_per_s"]), ms(row["p50_us"]), ms(row["p99_us"]),
            row["why"] or row["backend"],
        ]
        for row in direct
    ]  # fmt: skip
    return _table(("", "batch", "items/s", "p50 ms", "p99 ms", "backend"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _note(note: str) -> str:
    kind = ("in " if note.startswith(" ") else "") + ("bad" if "WRONG at" in note or "MIXED" in note else "")
    return f'<li class="{kind}">{escape(note.strip())}</li>'
