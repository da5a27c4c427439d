"""`hallmark model edit | withdraw`"""

from __future__ import annotations

import sys
from typing import Any

import click
import trio

from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from ..running import run_operation
from .progress import Shown
from .screen import echo_json, everywhere


@click.command("edit")
@click.argument("model")
@click.option("--description")
@click.option("--task", help="What it does, such as image-classification.")
@click.option("--licence", help="An SPDX identifier, such as Apache-2.0.")
@click.option("--tag", "tags", multiple=True, help="Instead of those that it has; may be repeated.")
@click.option("--no-tags", is_flag=True, help="Take all tags away.")
@click.option("--royalty-bps", type=click.IntRange(0, 10_000), help="The publisher's share, in 1/100 of a percent.")
@everywhere
def edit(
    model: str, tags: tuple[str, ...], no_tags: bool, data_dir: str | None, as_json: bool, **changes: Any
) -> None:  # fmt: skip
    """Correct what is said of MODEL, which this peer published: the same files and version under a new manifest.

    The name then means the new manifest. Its CID is new; the old one still works for whoever has it.
    """
    if tags and no_tags:
        raise CommandError(Exit.USAGE, "--tag and --no-tags contradict each other", "Give one of them.")
    changes["tags"] = list(tags) if tags or no_tags else None
    if all(value is None for value in changes.values()):
        raise CommandError(Exit.USAGE, "nothing to change", "Say what: hallmark model edit --help")
    with Shown(as_json) as shown:
        params = {"model": model} | changes
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "model.edit", params, shown)
    if as_json:
        echo_json({"event": "model"} | found)
        return
    name = f"{found['name']}@{found['version']}"
    click.echo(f"Edited {name}\n  CID      {found['cid']}\n  instead  {found['previous']}")
    click.echo(f"\nNext: {_next(data_dir, found['name'])}")


@click.command("withdraw")
@click.argument("model")
@click.option("--reason", default="", help="Told to everybody who asks for it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@everywhere
def withdraw(model: str, reason: str, yes: bool, data_dir: str | None, as_json: bool) -> None:
    """Withdraw MODEL (name@version or CID), which this peer published: no name leads to it any more.

    Others drop what they mirrored. Whoever has its CID can still fetch it from those who keep it, with a warning. A
    withdrawal cannot be taken back; publish a new version instead.
    """
    if not yes and not as_json and sys.stdin.isatty():
        which = model if "@" in model or model.startswith("bagaqihra") else f"the highest version of {model}"
        click.confirm(f"Withdraw {which} for good?", abort=True)
    with Shown(as_json) as shown:
        params = {"model": model, "reason": reason}
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "model.withdraw", params, shown)
    if as_json:
        echo_json({"event": "withdrawn"} | found)
        return
    click.echo(f"Withdrawn: {found['name']}@{found['version']}\n  CID  {found['cid']}")
    click.echo(f"\nNext: {_next(data_dir, found['name'])}")


def _next(data_dir: str | None, name: str) -> str:
    """A running peer has told the others already."""
    if find_data_dir(data_dir).socket.exists():
        return f"hallmark model versions {name}"
    return "hallmark serve    (then others hear of it)"
