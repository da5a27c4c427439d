"""`hallmark epoch show | ls`"""

from __future__ import annotations

from typing import Any

import click

from ..chain.amounts import show_amount
from .screen import echo_field, everywhere, minute, show_table, table
from .stake import run_chained

_bootstraps = click.option(
    "--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to start from; may be repeated."
)


@click.group("epoch", short_help="who earned what in an epoch, and when it is paid")
def command() -> None:
    """Epochs: what came in, the root that settlers signed, and the lines that pay this node."""


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, 256), default=12, show_default=True)
@everywhere
def ls(limit: int, data_dir: str | None, as_json: bool) -> None:
    """List the newest epochs."""
    found = run_chained(data_dir, as_json, "epoch.ls", {"limit": limit})
    if as_json:
        return
    rows = table(">epoch", "opened", ">revenue", ">lines", ">paid out", "status")
    for e in found["epochs"]:
        opened = minute(e["opened_ms"]) if e["opened_ms"] else "by nobody"
        amounts = show_amount(e["revenue"]), str(e["lines"]), show_amount(e["total"])
        rows.add_row(str(e["epoch"]), opened, *amounts, e["status"])
    show_table(rows)


@command.command("show")
@click.argument("number", type=click.IntRange(min=0), required=False)
@_bootstraps
@everywhere
def show(number: int | None, bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """Show epoch NUMBER; without one the newest that ended."""
    e = run_chained(data_dir, as_json, "epoch.show", {"epoch": number}, bootstraps=bootstraps)
    if as_json:
        return
    click.echo(f"Epoch {e['epoch']}: {e['status']}")
    echo_field("time", f"{minute(e['begins_ms'])} to {minute(e['ends_ms'])}")
    echo_field("beacon", e["beacon"])
    echo_field("revenue", show_amount(e["pot"]))
    for one in e["revenue"]:
        echo_field("", f"{show_amount(one['amount'])} of {one['node']}")
    if e["root"] is None:
        return
    _show_root(e["root"])
    _show_lines(e)


def _show_root(root: dict[str, Any]) -> None:
    echo_field("root", root["root"])
    echo_field("lines", f"{root['lines']}, {show_amount(root['total'])} in all")
    signed = ", ".join(f"{one['node']} ({show_amount(one['stake'])} at stake)" for one in root["signers"])
    echo_field("signed by", signed or "unknown")
    echo_field("final", minute(root["final_ms"]))


def _show_lines(e: dict[str, Any]) -> None:
    if e["lines"] is None:
        echo_field("yours", f"unknown: {e.get('unknown', 'nobody was asked')}")
    elif not e["lines"]:
        echo_field("yours", "nothing")
    for line in e["lines"] or ():
        paid = "claimed" if line["claimed"] else "not claimed yet"
        echo_field("yours", f"{show_amount(line['amount'])} as {line['role']}, of {line['lines']} line(s): {paid}")
    if e["status"] == "final" and any(not line["claimed"] for line in e["lines"] or ()):
        click.echo("\nNext: hallmark claim")
