"""`hallmark model add | ls | show | pull | rm | export | import`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import trio

from ..datadir import find_data_dir
from ..running import run_operation
from .progress import Shown
from .screen import console, echo_json, everywhere, size, table


@click.group("model", short_help="add, list, show and pull models")
def command() -> None:
    """Models: published by anyone, named by the hash of their manifest (the CID)."""


@command.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="Lower case, digits, dot, dash.")
@click.option("--version", default="1.0.0", show_default=True)
@click.option("--licence", required=True, help="An SPDX identifier, such as Apache-2.0.")
@click.option("--task", default="", help="What it does, such as image-classification.")
@click.option("--description", default="")
@click.option(
    "--royalty-bps", type=click.IntRange(0, 10_000), default=0, help="The publisher's share, in 1/100 of a percent."
)
@everywhere
def add(file: Path, data_dir: str | None, as_json: bool, **about: Any) -> None:
    """Publish an ONNX file: it is inspected in a sandboxed worker, stored, and its manifest signed."""
    with Shown(as_json) as shown:
        params = about | {"path": str(file.absolute())}
        model = trio.run(run_operation, find_data_dir(data_dir), {}, "model.add", params, shown)
    if as_json:
        echo_json({"event": "model"} | model)
        return
    click.echo(f"Added {model['name']}@{model['version']}, {size(model['size'])}")
    click.echo(f"  CID  {model['cid']}")
    click.echo("\nNext: hallmark serve --role hub --role provider    (then others can pull it and ask it)")


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
        click.echo("No models yet. Add one: hallmark model add FILE --name NAME --licence SPDX")
        return
    rows = table("name", ">size", "licence", "complete", "CID")
    for m in models:
        rows.add_row(
            f"{m['name']}@{m['version']}", size(m["size"]), m["licence"], "yes" if m["complete"] else "no", m["cid"]
        )
    console().print(rows)


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
    rows.add_row("model", f"{found['name']}@{found['version']}")
    rows.add_row("CID", found["cid"])
    rows.add_row("size", f"{size(found['size'])}, {'complete here' if found['complete'] else 'not here'}")
    rows.add_row("publisher", found["publisher"])
    rows.add_row("licence", found["licence"])
    if found["task"]:
        rows.add_row("task", found["task"])
    for side in ("inputs", "outputs"):
        for spec in found[side]:
            rows.add_row(side[:-1], f"{spec['name']}: {spec['datatype']} [{', '.join(map(str, spec['shape']))}]")
    for offer in found["offers"]:
        tiers = "/".join(offer["tiers"])
        terms = f"{tiers}, price {offer['price']}, {offer['compute_us'] / 1000:.1f} ms, {offer['backend']}"
        rows.add_row("offered by", f"{offer['peer_id']}  {terms}")
    for peer_id in found["holders"]:
        rows.add_row("held by", peer_id)
    if "refused" in found:
        rows.add_row("not executed here", found["refused"])
    if found["description"]:
        rows.add_row("description", found["description"])
    console().print(rows)


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
    """Remove a model from this peer's store; other peers keep theirs. `hallmark store gc` then frees its space."""
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


@command.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@everywhere
def import_(folder: Path, data_dir: str | None, as_json: bool) -> None:
    """Take a folder that `hallmark model export` wrote: the same CID and signature, every file checked."""
    with Shown(as_json) as shown:
        params = {"directory": str(folder.absolute())}
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "model.import", params, shown)
    if as_json:
        echo_json({"event": "model"} | found)
        return
    click.echo(f"Imported {found['name']}@{found['version']}, {size(found['size'])}\n  CID  {found['cid']}")
