"""`hallmark config show`"""

from __future__ import annotations

from dataclasses import asdict

import click

from ..config import load_config
from ..datadir import find_data_dir
from .screen import console, echo_json, everywhere, size, table


@click.group("config", short_help="show the settings")
def command() -> None:
    """Settings: flags over environment (HALLMARK_…) over config.toml over defaults."""


@command.command("show")
@everywhere
def show(data_dir: str | None, as_json: bool) -> None:
    """Show every setting, its value, and where it came from."""
    directory = find_data_dir(data_dir)
    found = load_config(directory, {})
    values = asdict(found.config)
    if as_json:
        settings = {name: {"value": value, "origin": found.origin[name]} for name, value in values.items()}
        echo_json({"event": "config", "file": str(directory.config), "settings": settings})
        return
    rows = table("setting", "value", "from")
    for name, value in values.items():
        if isinstance(value, dict):
            value = tuple(f"{tier}={price}" for tier, price in value.items())
        shown = ", ".join(value) if isinstance(value, tuple) else size(value) if _is_large(value) else str(value)
        rows.add_row(name, shown or "–", found.origin[name])
    console().print(rows)
    click.echo(f"\nThe file: {directory.config}")


def _is_large(value: object) -> bool:
    """Whether it is a number of bytes: no other setting is over a million."""
    return isinstance(value, int) and value >= 1 << 20
