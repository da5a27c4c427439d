"""What the laboratory found: rows for people, and the section of bench/README.md that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEAD = "## Faults on real links"


@dataclass(frozen=True)
class Row:
    """One thing that was looked at, with what was wanted of it."""

    what: str
    figure: str
    aim: str
    held: bool


def section(text: str, found: Sequence[Row], told: str) -> str:
    """The file's `text` with the section replaced, or at its end."""
    lines = [HEAD, "", told, "", "| scenario | found | aim | |", "|---|---|---|---|"]
    for row in found:
        cells = (row.what, row.figure, row.aim, "" if row.held else "**not met**")
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    before, _, after = text.partition(f"{HEAD}\n")
    rest = after[after.index("\n## ") + 1 :] if "\n## " in after else ""
    whole = before.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"
    return whole + ("\n" + rest if rest else "")


def _cell(text: str) -> str:
    """On one line, as a table needs it."""
    return " ".join(text.replace("|", "/").split())


def write(path: Path, found: Sequence[Row], told: str) -> None:
    """Keep the rows in the file."""
    path.write_text(section(path.read_text(), found, told))
