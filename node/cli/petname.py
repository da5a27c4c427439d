"""`hallmark petname set | ls | rm`"""

from __future__ import annotations

import click

from wire.keys import show_address

from ..datadir import DataDir, find_data_dir
from ..errors import CommandError, Exit
from ..petnames import check_petname, find_publisher, load_petnames, save_petnames
from .screen import echo_json, everywhere, show_table, table


@click.group("petname", short_help="your own names for publishers")
def command() -> None:
    """Petnames: what you call publishers. They stay on this machine; NAME/MODEL then means that publisher's model."""


@command.command("set")
@click.argument("name")
@click.argument("publisher")
@everywhere
def set_(name: str, publisher: str, data_dir: str | None, as_json: bool) -> None:
    """Call PUBLISHER (an address, a peer id, or another petname) NAME from now on."""
    directory = _initialised(data_dir)
    petnames = load_petnames(directory.petnames)
    address, before = find_publisher(publisher, petnames), petnames.get(check_petname(name))
    save_petnames(directory.petnames, petnames | {name: address})
    if as_json:
        was = None if before is None else show_address(before)
        echo_json({"event": "petname", "name": name, "publisher": show_address(address), "before": was})
        return
    changed = f", and no longer {show_address(before)}" if before not in (None, address) else ""
    click.echo(f"{name} is {show_address(address)}{changed}")
    click.echo(f"\nNext: hallmark model search --publisher {name}")


@command.command("ls")
@everywhere
def ls(data_dir: str | None, as_json: bool) -> None:
    """List all petnames."""
    petnames = load_petnames(_initialised(data_dir).petnames)
    if as_json:
        echo_json({"event": "petnames", "petnames": {name: show_address(petnames[name]) for name in sorted(petnames)}})
        return
    if not petnames:
        click.echo("No petnames yet. Give one: hallmark petname set NAME PUBLISHER")
        return
    rows = table("petname", "publisher")
    for name in sorted(petnames):
        rows.add_row(name, show_address(petnames[name]))
    show_table(rows)


@command.command("rm")
@click.argument("name")
@everywhere
def rm(name: str, data_dir: str | None, as_json: bool) -> None:
    """Forget a petname; models stay."""
    directory = _initialised(data_dir)
    petnames = load_petnames(directory.petnames)
    address = petnames.pop(name, None)
    if address is None:
        raise CommandError(Exit.NOT_FOUND, f"there is no petname {name!r}", "See what there is: hallmark petname ls")
    save_petnames(directory.petnames, petnames)
    if as_json:
        echo_json({"event": "petname", "name": name, "publisher": None, "before": show_address(address)})
        return
    click.echo(f"{name} is nobody now (it was {show_address(address)})")


def _initialised(data_dir: str | None) -> DataDir:
    directory = find_data_dir(data_dir)
    if not directory.initialised:
        raise CommandError(Exit.CONFIG, f"there is no peer in {directory.path} yet", "Run: hallmark init")
    return directory
