"""Plots as SVG that need nothing else: one line and one colour a committee size, points with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

WIDTH, HEIGHT = 660, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 104, 34, 46
_COLOURS = ("#7a4a9c", "#2f6f8f", "#1f8f6b", "#7d9a1f", "#c98a12", "#c2452d")


@dataclass(frozen=True)
class Mark:
    """A counted value with its interval."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A curve, the marks beside it, and its name. A curve that is empty is not drawn."""

    name: str
    curve: Sequence[tuple[float, float]]
    marks: Sequence[Mark] = ()
    dashed: bool = False
    colour: int = 0
    shift: float = 0  # of the marks, so that those of several lines stand side by side


@dataclass(frozen=True)
class Scale:
    """Where a value lies between 0 and 1, and which are written."""

    place: Callable[[float], float]
    ticks: Sequence[tuple[float, str]]


def linear(start: float, end: float, ticks: Sequence[tuple[float, str]]) -> Scale:
    """An even scale."""
    return Scale(lambda v: (v - start) / (end - start), ticks)


def logarithmic(lowest: int, highest: int, step: int = 1) -> Scale:
    """Powers of ten; what lies below the lowest is drawn there, as an interval's end may."""
    ticks = [(10.0**e, "1" if e == 0 else f"{100 * 10.0**e:g}%" if e >= -3 else f"1e{e}")
             for e in range(highest, lowest - 1, -step)]  # fmt: skip
    return Scale(lambda v: (log10(max(v, 10.0**lowest)) - lowest) / (highest - lowest), ticks)


def doublings(values: Sequence[int]) -> Scale:
    """Powers of two, evenly."""
    first, last = log10(values[0]), log10(values[-1])
    return Scale(lambda v: (log10(v) - first) / (last - first), [(v, str(v)) for v in values])


def chart(title: str, across: Scale, up: Scale, names: tuple[str, str], lines: Sequence[Line]) -> str:
    """The whole file. `names` are those of the axes."""

    def x(value: float) -> float:
        return round(_LEFT + across.place(value) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - _BOTTOM - min(1.0, max(0.0, up.place(value))) * (HEIGHT - _TOP - _BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" '
        f'font-size="12" role="img" aria-label="{escape(title)}">',
        "<style>.grid{stroke:#e3e3e3}.tick{fill:#555}.name{fill:#222}.line{fill:none;stroke-width:1.8}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text class="name" x="{_LEFT}" y="20" font-weight="600">{escape(title)}</text>',
    ]
    for value, text in across.ticks:
        parts.append(f'<line class="grid" x1="{x(value)}" x2="{x(value)}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(
            f'<text class="tick" x="{x(value)}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{text}</text>'
        )
    for value, text in up.ticks:
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(value)}" y2="{y(value)}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y(value) + 4}" text-anchor="end">{text}</text>')
    middle_x, middle_y = (_LEFT + WIDTH - _RIGHT) / 2, (_TOP + HEIGHT - _BOTTOM) / 2
    parts.append(f'<text class="name" x="{middle_x}" y="{HEIGHT - 8}" text-anchor="middle">{escape(names[0])}</text>')
    turned = f'transform="translate(14 {middle_y}) rotate(-90)" text-anchor="middle"'
    parts.append(f'<text class="name" {turned}>{escape(names[1])}</text>')
    for one in lines:
        parts += _drawn(one, x, y)
    parts += _labels(lines, y)
    return "\n".join([*parts, "</svg>\n"])


def _drawn(one: Line, x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    colour = _COLOURS[one.colour % len(_COLOURS)]
    dashes = ' stroke-dasharray="5 4"' if one.dashed else ""
    points = " ".join(f"{x(a)},{y(b)}" for a, b in one.curve)
    parts = [f'<polyline class="line" stroke="{colour}"{dashes} points="{points}"/>'] if points else []
    for mark in one.marks:
        at = round(x(mark.x) + one.shift, 1)
        parts.append(f'<line stroke="{colour}" x1="{at}" x2="{at}" y1="{y(mark.low)}" y2="{y(mark.high)}"/>')
        told = f"{one.name}: {mark.y:.3g} ({mark.low:.3g} to {mark.high:.3g})"
        parts.append(f'<circle fill="{colour}" cx="{at}" cy="{y(mark.y)}" r="3"><title>{escape(told)}</title></circle>')
    return parts


def _labels(lines: Sequence[Line], y: Callable[[float], float]) -> list[str]:
    """Each line's name at its right end, none on another."""
    parts, last = [], -1000.0
    for one in sorted((line for line in lines if line.curve), key=lambda line: y(line.curve[-1][1])):
        last = max(last + 14, y(one.curve[-1][1]) + 4)
        colour = _COLOURS[one.colour % len(_COLOURS)]
        parts.append(f'<text fill="{colour}" x="{WIDTH - _RIGHT + 8}" y="{last}">{escape(one.name)}</text>')
    return parts
