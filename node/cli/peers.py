"""`hallmark peers`"""

from __future__ import annotations

import click
import trio

from ..auditing.words import in_words
from ..datadir import find_data_dir
from ..running import run_operation
from .progress import Shown
from .screen import echo_field, echo_json, everywhere


@click.command("peers", short_help="show who is connected")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to ask; may be repeated.")
@everywhere
def command(bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """Show the peers that are connected or known, and what each does."""
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {"bootstraps": bootstraps}, "peers", {}, shown)
    if as_json:
        echo_json({"event": "peers"} | found)
        return
    if not found["peers"]:
        click.echo("No other peer is known. Start from one: hallmark peers --bootstrap ADDRESS")
    for p in found["peers"]:
        connected = "connected" if p["connected"] else "known"
        click.echo(f"{p['peer_id']}  {', '.join([connected, *p['roles']])}")
        echo_field("at", p["address"])
        if record := in_words(p["record"]):
            echo_field("answers", record)
