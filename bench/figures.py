"""How figures are taken and shown: percentiles of repeated calls, rows for people, one JSON object for programs."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of `values` lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def row(name: str, milliseconds: Sequence[float], **more: Any) -> dict[str, Any]:
    """One measured thing: p50 and p99 in milliseconds, and what else belongs to it."""
    p50, p99 = percentile(milliseconds, 50), percentile(milliseconds, 99)
    return {"name": name, "p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "runs": len(milliseconds)} | more


def show(title: str, rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print the rows, aligned, or as one JSON object."""
    if as_json:
        print(json.dumps({"title": title, "machine": platform.processor() or platform.machine(), "rows": list(rows)}))
        return
    print(f"\n{title}")
    columns = list(dict.fromkeys(key for r in rows for key in r))
    cells = [[str(r.get(c, "")) for c in columns] for r in rows]
    widths = [max(len(c), *(len(line[i]) for line in cells)) for i, c in enumerate(columns)]
    for line in [columns, *cells]:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
