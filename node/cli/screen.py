"""How commands speak: rich text for people, one JSON object a line for programs, and never both."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])


def echo_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output; bytes as hexadecimal."""
    click.echo(json.dumps(value, default=lambda v: v.hex() if isinstance(v, bytes) else str(v), ensure_ascii=False))


def everywhere(function: F) -> F:
    """The flags that every command has: --json and --data-dir."""
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")(function)
    return click.option(
        "--data-dir", type=click.Path(file_okay=False), help="Where this peer lives (HALLMARK_DATA_DIR)."
    )(function)


def echo_field(label: str, text: str) -> None:
    """A label and what it says; on a terminal, long sentences hang below their own beginning."""
    for i, line in enumerate(folded(text, 12)):
        click.echo(f"  {'' if i else label:<9} {line}")


def folded(text: str, indent: int) -> list[str]:
    """The lines of a text that is to stand `indent` columns from the left; what is no terminal folds for itself."""
    given = text.split("\n")
    if not sys.stdout.isatty():
        return given
    width = max(shutil.get_terminal_size().columns - indent - 1, 40)
    found = []
    for line in given:
        under = " " * (len(line) - len(line.lstrip()))
        found += textwrap.wrap(
            line, width, subsequent_indent=under, break_long_words=False, break_on_hyphens=False
        ) or [""]  # fmt: skip
    return found


def console() -> Console:
    """Standard output for people; plain and wide when it is no terminal."""
    from rich.console import Console

    made = Console(highlight=False, markup=False, soft_wrap=True)
    return made if made.is_terminal else Console(highlight=False, markup=False, soft_wrap=True, width=160)


def table(*columns: str) -> Table:
    """The one look of all tables."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return made


def show_table(rows: Table) -> None:
    """Print a table whose cells are to be copied: nothing is cut off, the terminal wraps what is too long for it."""
    from rich.measure import Measurement

    screen = console()
    screen.width = max(screen.width, Measurement.get(screen, screen.options.update(max_width=10_000), rows).maximum)
    screen.print(rows)


def printable(text: str) -> str:
    """A stranger's text as a terminal may have it: lines and tabs, and of what would steer it a mark."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def size(number: float) -> str:
    """Bytes for people: 3.1 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if abs(number) < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.2f} GiB"


def counted(number: int, noun: str) -> str:
    """A number of things, for people: 1 peer, 2 peers."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time span for people: 40 s, 12 min, 3 h 5 min, 2 d 4 h."""
    minutes, hours = int(seconds) // 60, int(seconds) // 3600
    if seconds < 120:
        return f"{seconds:.0f} s"
    if hours < 2:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def named(called: str, name: str, version: str) -> str:
    """`publisher/name@version`; an address in short, since it is there to tell two apart and not to be typed."""
    short = f"{called[:6]}…{called[-4:]}" if called.startswith("0x") else called
    return f"{short}/{name}@{version}" if short else f"{name}@{version}"


def reference(model: Mapping[str, Any]) -> str:
    """What to type for the name of a model: as short as it is certain."""
    return "/".join(filter(None, (model["called"], model["name"])))


def publisher(model: Mapping[str, Any]) -> str:
    """Who published it, in full."""
    called, address = model["called"], model["publisher"]
    return address if called == address else f"{called or 'this peer'} ({address})"


def minute(time_ms: int) -> str:
    """A time for people, in their own time zone: 2026-11-21 09:30."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(time_ms / 1000))


def day(time_ms: int) -> str:
    """A day for people: 2026-11-21."""
    return minute(time_ms)[:10]
