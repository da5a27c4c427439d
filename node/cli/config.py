"""`hallmark config show`"""

from __future__ import annotations

from dataclasses import asdict

import click

from ..chain.amounts import show_amount, typed_amount
from ..config import AMOUNTS, SIZES, load_config
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
    if found.config.rpcs:
        from settle.rpc import shown_url  # with a network stack, which nothing else here needs

        values["rpcs"] = tuple(map(shown_url, found.config.rpcs))  # a URL may hold a key
    if as_json:
        settings = {name: {"value": value, "origin": found.origin[name]} for name, value in values.items()}
        echo_json({"event": "config", "file": str(directory.config), "settings": settings})
        return
    rows = table("setting", "value", "from")
    for name, value in values.items():
        if isinstance(value, dict):
            exact = name == "tier_price"
            value = tuple(f"{key}={typed_amount(one) if exact else f'{one:g}'}" for key, one in value.items())
        if name in AMOUNTS:
            value = show_amount(value)
        large = name in SIZES and value >= 1 << 20
        shown = ", ".join(value) if isinstance(value, tuple) else size(value) if large else str(value)
        rows.add_row(name, shown or "–", found.origin[name])
    console().print(rows)
    click.echo(f"\nThe file: {directory.config}")
