"""`hallmark ps`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import trio

from ..datadir import find_data_dir
from ..running import run_operation
from .progress import Shown
from .screen import console, counted, duration, echo_json, everywhere, size, table


@click.command("ps", short_help="show what the node executes")
@everywhere
def command(data_dir: str | None, as_json: bool) -> None:
    """Show the models that the running node executes: memory, queue, rates over the last minute."""
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "ps", {}, shown)
    if as_json:
        echo_json({"event": "loaded"} | found)
        return
    if not found["models"]:
        _show_node(found["node"])
        click.echo("No models yet. Add one: hallmark model add FILE --name NAME --licence SPDX")
        return
    rows = table("model", "state", "on", ">memory", ">queue", ">req/s", ">per run", ">busy", ">failed")
    for m in found["models"]:
        name = m["name"] or m["cid"]
        if m["state"] not in ("loaded", "loading"):
            rows.add_row(name, m["state"], "", "", "", "", "", "", "")
            continue
        figures = (f"{m['requests_per_s']:.1f}", f"{m['requests_per_run']:.1f}", f"{m['busy']:.0%}", str(m["failures"]))
        state = f"building: {m['building']}" if m["building"] else m["state"]
        state += ", pinned" if m["pinned"] else ""
        rows.add_row(name, state, m["device"], size(m["memory"]), str(m["queue"]), *figures)
    console().print(rows)
    click.echo(f"{size(found['memory'])} of {size(found['memory_bound'])} for at most {found['most_models']} models.")
    for m in found["models"]:
        for better in m.get("passed", ()):
            click.echo(f"{m['name'] or m['cid']} is not executed by {better['backend']}: {better['reason']}")
        if m["state"] == "refused":
            click.echo(f"{m['name'] or m['cid']} is not executed here: {m['reason']}")
    _show_node(found["node"])


def _show_node(node: Mapping[str, Any]) -> None:
    """What the node itself takes, and what it carries for others."""
    click.echo(
        f"The node: up for {duration(node['up_s'])}, {size(node['memory'])}, "
        f"{counted(node['connections'], 'connection')}, {counted(node['streams'], 'stream')}."
    )
    if (relaying := node["relaying"]) is not None:
        click.echo(
            f"It relays for {relaying['reservations']} of at most {relaying['reservations_most']} peers, with "
            f"{counted(relaying['circuits'], 'circuit')}; {size(relaying['bytes'])} so far."
        )
