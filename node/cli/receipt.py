"""`hallmark receipt ls | export | compact`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import trio

from wire.files import PUBLIC, replace_file

from ..chain.amounts import show_amount
from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from ..running import run_operation
from .progress import Shown
from .screen import echo_json, everywhere, minute, show_table, size, table


@click.group("receipt", short_help="the receipts that this peer keeps")
def command() -> None:
    """Receipts of answers that this peer got, with all evidence that came since, such as a verifier's later check."""


@command.command("ls")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@everywhere
def ls(limit: int, data_dir: str | None, as_json: bool) -> None:
    """List the receipts here, the one stored last first."""
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "receipt.ls", {"limit": limit}, shown)
    if as_json:
        echo_json({"event": "receipts"} | found)
        return
    if not found["receipts"]:
        click.echo("No receipts yet. Ask something: hallmark infer MODEL --input NAME=VALUE")
        return
    rows = table("digest", "finished", "tier", ">size", ">price", "settled", "provider", "model")
    for r in found["receipts"]:
        which = r["digest"][:16], minute(r["finished_ms"]), r["tier"], size(r["size"])
        paid = show_amount(r["price"]) if r["price"] else "free", _settled(r)
        rows.add_row(*which, *paid, _short(r["provider"]), _short(r["model"]))
    show_table(rows)


def _settled(receipt: dict[str, Any]) -> str:
    """The epoch that paid its shares; a dash where this peer has not heard of one, as who only asks never does."""
    if not receipt["price"]:
        return ""
    return "–" if receipt["settled_in"] is None else f"epoch {receipt['settled_in']}"


def _short(name: str) -> str:
    """The end of an address or a CID, enough to tell two apart; --json has all of it."""
    return f"…{name[-8:]}"


@command.command("export")
@click.argument("digest")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@everywhere
def export(digest: str, file: Path, data_dir: str | None, as_json: bool) -> None:
    """Write the receipt whose digest begins with DIGEST to FILE, as it is now."""
    params = {"digest": digest, "path": str(file.absolute())}
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "receipt.export", params, shown)
    if as_json:
        echo_json({"event": "exported"} | found)
        return
    click.echo(f"Exported {found['digest']}\n\nNext: hallmark verify {file}")


@command.command("compact")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Another file, instead of this one.")
@click.option(
    "--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to start from; may be repeated."
)
@everywhere
def compact(file: Path, out: Path | None, bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """Make the certificate in FILE small: all its signers sign once more, together, in 64 bytes.

    Each of them must be up. Where one is not, FILE stays as it is, and the exit code is 7.
    """
    from wire.receiptfile import MAX_RECEIPT_FILE

    try:
        data = file.read_bytes() if file.stat().st_size <= MAX_RECEIPT_FILE else b""
    except OSError as error:
        raise CommandError(Exit.NOT_FOUND, f"{file} cannot be read: {error.strerror}") from error
    with Shown(as_json) as shown:
        done = trio.run(
            run_operation,
            find_data_dir(data_dir),
            {"bootstraps": bootstraps},
            "receipt.compact",
            {"receipt": data},
            shown,
        )
    place = out or file
    try:
        replace_file(place, done["receipt"], PUBLIC)  # as a whole or not at all: it may be the only copy
    except OSError as error:
        raise CommandError(Exit.STORAGE, f"{place} cannot be written: {error.strerror}", "Choose another.") from error
    if as_json:
        echo_json({"event": "compacted", "path": str(place), "before": done["before"], "after": done["after"]})
        return
    if done["before"] == done["after"]:
        click.echo(f"The certificate has {done['after']} bytes already.")
    else:
        click.echo(f"The signature of its committee: {done['before']} bytes before, {done['after']} now.")
    click.echo(f"\nNext: hallmark verify {place}")
