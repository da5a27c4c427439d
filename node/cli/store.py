"""`hallmark store verify | stat | gc | pin | unpin`"""

from __future__ import annotations

from typing import Any

import click
import trio

from ..datadir import find_data_dir
from ..errors import Exit
from ..running import run_operation
from .progress import Shown
from .screen import console, echo_json, everywhere, show_table, size, table


@click.group("store", short_help="check the disk, free space, pin models")
def command() -> None:
    """The store: what this peer keeps on disk, and whether it is sound."""


def _run(data_dir: str | None, as_json: bool, name: str, params: dict[str, Any], **flags: Any) -> dict[str, Any]:
    with Shown(as_json) as shown:
        found: dict[str, Any] = trio.run(run_operation, find_data_dir(data_dir), flags, name, params, shown)
    return found


@command.command("verify")
@click.option("--repair", is_flag=True, help="Fetch what is damaged again from peers.")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to ask; may be repeated.")
@everywhere
def verify(repair: bool, bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> int:
    """Read everything back and check its hash.

    What is damaged is kept apart, counts as missing, and is never served. Exit code 10 while something is damaged.
    """
    name = "store.repair" if repair else "store.verify"
    found = _run(data_dir, as_json, name, {}, bootstraps=bootstraps)
    code = Exit.OK if found["sound"] else Exit.STORAGE
    if as_json:
        echo_json({"event": "verified"} | found)
        return code
    rate = size(found["bytes"] / max(found["seconds"], 1e-3))
    click.echo(f"{found['chunks']} chunks, {size(found['bytes'])} in {found['seconds']:.1f} s ({rate}/s)")
    if found["models"]:
        rows = table("model", "state", ">damaged", ">missing", "CID")
        for m in found["models"]:
            rows.add_row(m["name"] or "–", m["state"], str(m["damaged_chunks"]), str(m["missing_chunks"]), m["cid"])
        show_table(rows)
    for what in ("chunks", "outlines", "ballots", "frauds"):
        if found[f"damaged_{what}"]:
            click.echo(f"Damaged {what}: {found[f'damaged_{what}']}")
    if found["restored_chunks"]:
        click.echo(f"Chunks that read well again: {found['restored_chunks']}")
    for digest in found["damaged_receipts"]:
        click.echo(f"Damaged receipt, which no peer can give back: {digest}")
    if code == Exit.OK:
        click.echo("Everything is sound." if not repair else "Everything is sound, or was fetched again.")
    elif not repair:
        click.echo("\nNext: hallmark store verify --repair    (if it happens again, check the disk)")
    return code


@command.command("stat")
@everywhere
def stat(data_dir: str | None, as_json: bool) -> None:
    """Show what the store holds and what it takes on disk."""
    found = _run(data_dir, as_json, "store.stat", {})
    if as_json:
        echo_json({"event": "store"} | found)
        return
    rows = table("", "")
    rows.show_header = False
    rows.add_row("models", f"{found['models']}, {len(found['pinned'])} pinned")
    if found["mirrored"] or found["mirroring"]:
        rows.add_row("mirrored", f"{found['mirrored']}, {size(found['mirrored_bytes'])}")
    if found["mirroring"]:
        rows.add_row("mirroring", found["mirroring"])
    rows.add_row("catalogue", f"{found['known_models']} models, {found['known_names']} names")
    rows.add_row("receipts", str(found["receipts"]))
    quota = f" of {size(found['quota'])}" if found["quota"] else ""
    rows.add_row("files", f"{size(found['chunk_bytes'])}{quota} in {found['chunks']} chunks, {found['blobs']} files")
    if found["damaged_chunks"]:
        rows.add_row("damaged", f"{found['damaged_chunks']} chunks: hallmark store verify --repair")
    rows.add_row("on disk", f"{size(found['disk_bytes'])} in {found['path']}")
    console().print(rows)


@command.command("gc")
@click.option("--dry-run", is_flag=True, help="Count what would be freed, and free nothing.")
@everywhere
def gc(dry_run: bool, data_dir: str | None, as_json: bool) -> None:
    """Free what no model needs any more.

    The file on disk does not shrink: what is freed is used again by what comes next. Models of the store, pinned ones
    above all, and files being added or pulled are never touched.
    """
    found = _run(data_dir, as_json, "store.gc", {"dry_run": dry_run})
    if as_json:
        echo_json({"event": "collected"} | found)
        return
    verb = "Would free" if dry_run else "Freed"
    click.echo(f"{verb} {size(found['bytes'])}: {found['blobs']} files, {found['chunks']} chunks")


@command.command("pin")
@click.argument("model")
@everywhere
def pin(model: str, data_dir: str | None, as_json: bool) -> None:
    """Protect a model of the store from being removed."""
    _pin(model, "store.pin", data_dir, as_json)


@command.command("unpin")
@click.argument("model")
@everywhere
def unpin(model: str, data_dir: str | None, as_json: bool) -> None:
    """Take a model's protection away."""
    _pin(model, "store.unpin", data_dir, as_json)


def _pin(model: str, name: str, data_dir: str | None, as_json: bool) -> None:
    found = _run(data_dir, as_json, name, {"model": model})
    if as_json:
        echo_json({"event": "pin"} | found)
        return
    state = "pinned" if found["pinned"] else "not pinned"
    click.echo(f"{found['cid']} is {state}" + ("" if found["changed"] else ", as before"))
