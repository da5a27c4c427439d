"""`hallmark model`: its commands that have no file of their own are here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import trio

from ..auditing.words import in_words
from ..chain.amounts import show_amount
from ..datadir import find_data_dir
from ..running import run_operation
from .adding import add
from .progress import Shown
from .publishing import edit, withdraw
from .screen import console, day, echo_json, everywhere, minute, named, publisher, show_table, size, table
from .searching import search, versions

# What `model show` says of a model's interface.
INTERFACES = {
    "tensors": "its graph's own tensors",
    "text": "texts, which its own tokeniser makes into tokens",
    "generate": "a prompt, which it goes on token by token",
}


@click.group("model", short_help="add, find, show and pull models")
def command() -> None:
    """Models: published by anyone, named by the hash of their manifest (the CID).

    MODEL is a CID, or a name: name, name@version, publisher/name[@version]. A publisher is an address or a petname.
    """


for each in (add, search, versions, edit, withdraw):
    command.add_command(each)


@command.command("ls")
@everywhere
def ls(data_dir: str | None, as_json: bool) -> None:
    """List the models in this peer's store."""
    with Shown(as_json) as shown:
        models = trio.run(run_operation, find_data_dir(data_dir), {}, "model.ls", {}, shown)["models"]
    if as_json:
        echo_json({"event": "models", "models": models})
        return
    if not models:
        click.echo("No models yet. Add one: hallmark model add PATH --name NAME --licence SPDX")
        click.echo("            Or find one: hallmark model search")
        return
    rows = table("name", ">size", "licence", "state", "CID")
    for m in models:
        name = named(m["called"], m["name"], m["version"])
        rows.add_row(name, size(m["size"]), m["licence"], _state(m), m["cid"])
    show_table(rows)


def _state(m: dict[str, Any]) -> str:
    """How a model of the store is: what asks for something to be done comes first."""
    told = m["state"] if m["state"] in ("withdrawn", "replaced", "expired") else ""
    parts = [told, "" if m["complete"] else "incomplete", "mirrored" if m["mirrored"] else ""]
    return ", ".join(filter(None, parts)) or "complete"


@command.command("show")
@click.argument("model")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to ask; may be repeated.")
@everywhere
def show(model: str, bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """Show a model in full: its inputs and outputs, who published it, who has it, who offers it."""
    with Shown(as_json) as shown:
        flags = {"bootstraps": bootstraps}
        found = trio.run(run_operation, find_data_dir(data_dir), flags, "model.show", {"model": model}, shown)
    if as_json:
        echo_json({"event": "model"} | found)
        return
    rows = table("", "")
    rows.show_header = False
    rows.add_row("model", f"{found['name']}@{found['version']}, {day(found['created_ms'])}")
    rows.add_row("CID", found["cid"])
    if found["previous"]:
        rows.add_row("follows", found["previous"])
    rows.add_row("publisher", publisher(found))
    rows.add_row("name", _standing(found))
    kept = "mirrored here" if found["mirrored"] else "complete here" if found["complete"] else "not here"
    rows.add_row("size", f"{size(found['size'])}, {kept}")
    rows.add_row("licence", found["licence"])
    if found["task"]:
        rows.add_row("task", found["task"])
    if found["tags"]:
        rows.add_row("tags", ", ".join(found["tags"]))
    if found["royalty_bps"]:
        rows.add_row("royalty", f"{found['royalty_bps'] / 100:g} % of each price")
    rows.add_row("interface", INTERFACES[found["interface"]])
    for side in ("inputs", "outputs"):
        for spec in found[side]:
            rows.add_row(side[:-1], f"{spec['name']}: {spec['datatype']} [{', '.join(map(str, spec['shape']))}]")
    for offer in found["offers"]:
        rows.add_row("offered by", f"{offer['peer_id']}  {offer['compute_us'] / 1000:.1f} ms, {offer['backend']}")
        if record := in_words(offer["record"]):
            rows.add_row("", f"  its answers: {record}")
        for terms in offer["tiers"]:
            rows.add_row("", f"  tier {terms['tier']}: price {show_amount(terms['price'])}{_added(terms)}")
    for peer_id in found["holders"]:
        rows.add_row("held by", peer_id)
    for b in found["benchmarks"]:
        figures = f"{b['clients']} clients, {b['items_per_s']:,.0f} items/s, p99 {b['p99_us'] / 1000:.1f} ms"
        batches = f"{b['batch_p50']} at a time, up to {b['batch_max']}"
        signed = "both signed" if b["countersigned"] else "the measurer's word"
        rows.add_row(
            "measured", f"{b['provider']}  {figures}, {batches}, {b['backend']}, {day(b['measured_ms'])}, {signed}"
        )
    rows.add_row("seen here", f"{found['pulls']} pulls, {found['calls']} calls")
    if "refused" in found:
        rows.add_row("not executed here", found["refused"])
    if found["description"]:
        rows.add_row("description", found["description"])
    console().print(rows)


def _added(terms: dict[str, Any]) -> str:
    """What the tier's proof adds to an answer, where its provider has measured that."""
    if not terms["added_us"]:
        return ""
    return f", its proof takes {terms['added_us'] / 1000:.1f} ms more and {size(terms['added_bytes'])}"


def _standing(found: dict[str, Any]) -> str:
    """What the name says of the model."""
    match found["state"]:
        case "current":
            return f"means this model, until {minute(found['until_ms'])} at least"
        case "expired":
            return f"meant this model until {minute(found['until_ms'])}; its publisher has been silent since"
        case "withdrawn":
            return "WITHDRAWN by its publisher" + (f": {found['reason']}" if found["reason"] else "")
        case "replaced":
            return f"means another model now: {found['replaced_by']}"
        case _:
            return "nothing is known of what its publisher says now"


@command.command("pull")
@click.argument("model")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to ask; may be repeated.")
@everywhere
def pull(model: str, bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """Fetch a model from peers, by CID or name.

    Every chunk is verified, and an interrupted pull goes on where it was.
    """
    with Shown(as_json) as shown:
        flags = {"bootstraps": bootstraps}
        found = trio.run(run_operation, find_data_dir(data_dir), flags, "model.pull", {"model": model}, shown)
    if as_json:
        echo_json({"event": "model"} | found)
        return
    if found["fetched"]:
        rate = size(found["fetched"] / max(found["seconds"], 1e-3))
        took = f"{size(found['fetched'])} in {found['seconds']:.1f} s ({rate}/s)"
        click.echo(f"Pulled {found['name']}@{found['version']}: {took}, every chunk verified")
    else:
        click.echo(f"{found['name']}@{found['version']} is here already, complete")


@command.command("rm")
@click.argument("model")
@everywhere
def rm(model: str, data_dir: str | None, as_json: bool) -> None:
    """Remove a model from this peer's store; other peers keep theirs. `hallmark store gc` then frees its space.

    A hub that mirrors does not fetch it again, until it is pulled by hand.
    """
    with Shown(as_json) as shown:
        removed = trio.run(run_operation, find_data_dir(data_dir), {}, "model.rm", {"model": model}, shown)
    if as_json:
        echo_json({"event": "removed"} | removed)
        return
    click.echo(f"Removed {removed['cid']}\n\nNext: hallmark store gc    (frees the space of its files)")


@command.command("export")
@click.argument("model")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@everywhere
def export(model: str, folder: Path, data_dir: str | None, as_json: bool) -> None:
    """Write a model's files and its signed manifest into FOLDER, byte for byte; the folder is new or empty."""
    with Shown(as_json) as shown:
        params = {"model": model, "directory": str(folder.absolute())}
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "model.export", params, shown)
    if as_json:
        echo_json({"event": "model"} | found)
        return
    click.echo(f"Exported {found['name']}@{found['version']}, {size(found['size'])}, to {found['directory']}")
