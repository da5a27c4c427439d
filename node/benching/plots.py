"""Throughput against latency, as an SVG that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 440, 300  # small, so that letters stay readable where a phone shrinks it
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 18, 14, 40
_SPREAD = 20  # from this ratio on an axis is logarithmic
COLOURS = 8


@dataclass(frozen=True)
class Point:
    """One step: items a second, milliseconds, the mark's label, and what a pointer that rests on it is told."""

    x: float
    y: float
    label: str
    title: str


@dataclass(frozen=True)
class Series:
    """Points that a line joins. `colour` is one of `COLOURS`; `faint` for what accompanies another series."""

    points: Sequence[Point]
    colour: int
    faint: bool = False


@dataclass(frozen=True)
class Axis:
    """Where values lie between 0 and 1, and which are written."""

    place: Callable[[float], float]
    ticks: Sequence[float]
    logarithmic: bool


def axis(values: Sequence[float], *, from_zero: bool) -> Axis:
    """An axis that holds all values, which are above 0. `from_zero`: begins there, unless it is logarithmic."""
    least, most = min(values), max(values)
    if most / least >= _SPREAD:
        low, high = floor(log10(least)), ceil(log10(most) + 1e-9)
        ticks = [m * 10.0**e for e in range(low, high + 1) for m in ((1, 2, 5) if high - low < 3 else (1,))]
        start = max(t for t in ticks if t <= least * (1 + 1e-9))
        end = min([t for t in ticks if t >= most * (1 - 1e-9)] or [10.0**high])
        span = log10(end / start)
        return Axis(lambda v: log10(v / start) / span, [t for t in ticks if start <= t <= end], True)
    base = 0.0 if from_zero else least
    step = _nice((most - base) / 4 or most / 4)
    start = 0.0 if from_zero else floor(least / step) * step
    end = start + step * max(1, ceil((most - start) / step - 1e-9))
    count = round((end - start) / step)
    return Axis(lambda v: (v - start) / (end - start), [start + i * step for i in range(count + 1)], False)


def _nice(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))


def plot(series: Sequence[Series]) -> str:
    """Items a second to the right, milliseconds upwards; empty when there is nothing to show."""
    points = [p for one in series for p in one.points if p.x > 0 and p.y > 0]
    if not points:
        return ""
    across, up = axis([p.x for p in points], from_zero=True), axis([p.y for p in points], from_zero=True)

    def x(value: float) -> float:
        return round(_LEFT + across.place(value) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - _BOTTOM - up.place(value) * (HEIGHT - _TOP - _BOTTOM), 1)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Throughput against latency">',
        *(_across(x(tick), _number(tick)) for tick in across.ticks),
        *(_up(y(tick), _number(tick)) for tick in up.ticks),
        _title(across, up),
    ]
    for one in series:
        kind = f"c{one.colour % COLOURS}" + (" faint" if one.faint else "")
        drawn = [p for p in one.points if p.x > 0 and p.y > 0]
        line = " ".join(f"{x(p.x)},{y(p.y)}" for p in drawn)
        parts.append(f'<polyline class="{kind}" points="{line}"/>')
        for p in drawn:
            where = f'cx="{x(p.x)}" cy="{y(p.y)}" r="{2.5 if one.faint else 4}"'
            parts.append(f'<circle class="{kind}" {where}><title>{escape(p.title)}</title></circle>')
            if p.label:
                parts.append(f'<text class="mark" x="{x(p.x) + 7}" y="{y(p.y) + 4}">{escape(p.label)}</text>')
    return "".join([*parts, "</svg>"])


def _across(x: float, text: str) -> str:
    line = f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
    return f'{line}<text class="tick middle" x="{x}" y="{HEIGHT - _BOTTOM + 15}">{text}</text>'


def _up(y: float, text: str) -> str:
    line = f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
    return f'{line}<text class="tick end" x="{_LEFT - 6}" y="{y + 4}">{text}</text>'


def _title(across: Axis, up: Axis) -> str:
    right = "items a second" + (", logarithmic" if across.logarithmic else "")
    left = "milliseconds" + (", logarithmic" if up.logarithmic else "")
    middle = (HEIGHT - _BOTTOM + _TOP) / 2
    return (
        f'<text class="axis middle" x="{(WIDTH + _LEFT - _RIGHT) / 2}" y="{HEIGHT - 6}">{right}</text>'
        f'<text class="axis middle" transform="translate(12 {middle}) rotate(-90)">{left}</text>'
    )


def _number(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:.3g}"
