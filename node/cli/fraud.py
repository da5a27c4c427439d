"""`hallmark fraud ls | export | scan`"""

from __future__ import annotations

from pathlib import Path

import click
import trio

from ..datadir import find_data_dir
from ..running import run_operation
from .progress import Shown
from .screen import echo_field, echo_json, everywhere, minute


@click.group("fraud", short_help="evidence of peers that broke their word")
def command() -> None:
    """Frauds that this peer met: each is one file that anybody can check, with hallmark verify and the network file."""


@command.command("ls")
@everywhere
def ls(data_dir: str | None, as_json: bool) -> None:
    """List the fraud files here, newest first."""
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "fraud.ls", {}, shown)
    if as_json:
        echo_json({"event": "frauds"} | found)
        return
    if not found["frauds"]:
        click.echo("No fraud was met.\n\nTo look through your receipts for lazy verifiers: hallmark fraud scan")
        return
    for f in found["frauds"]:
        weight = "can be acted on" if f["settles"] else "a report: accuses nobody"
        click.echo(f"{f['digest'][:16]}  met {minute(f['kept_ms'])}  {weight}")
        echo_field("", f["says"] if f["valid"] else f"{f['says']} (does not hold under this network file)")
    click.echo(f"\nNext: hallmark fraud export {found['frauds'][0]['digest'][:16]} FILE")


@command.command("export")
@click.argument("digest")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@everywhere
def export(digest: str, file: Path, data_dir: str | None, as_json: bool) -> None:
    """Write the fraud file whose digest begins with DIGEST to FILE."""
    params = {"digest": digest, "path": str(file.absolute())}
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "fraud.export", params, shown)
    if as_json:
        echo_json({"event": "exported"} | found)
        return
    click.echo(f"Exported {found['digest']}\n\nNext: hallmark verify {file}")


@command.command("scan")
@everywhere
def scan(data_dir: str | None, as_json: bool) -> None:
    """Look through the receipts here for verifiers who look lazy. A report accuses nobody, and says so."""
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "fraud.scan", {}, shown)
    if as_json:
        echo_json({"event": "scanned"} | found)
        return
    looked = f"Looked through {found['receipts']} receipts"
    if not found["reports"]:
        click.echo(f"{looked}: no verifier looks lazy in them.")
    else:
        click.echo(f"{looked}: {found['reports']} report(s) of verifiers who look lazy.")
        click.echo("\nNext: hallmark fraud ls")
