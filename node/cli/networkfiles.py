"""`hallmark network add | sign | update`: network files that are handed on, signed and kept new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import trio

from wire.errors import RecordError
from wire.files import PUBLIC, replace_file
from wire.keys import parse_address, show_address
from wire.networkfile import sign_file

from ..config import load_config
from ..control import call_node
from ..datadir import DataDir, find_data_dir
from ..errors import CommandError, Exit
from ..keyfile import load_key
from ..networkfile import load_network, parse_network, read_network_file, show_network
from ..running import run_operation
from .progress import Shown
from .screen import echo_field, echo_json, everywhere

if TYPE_CHECKING:
    from ..networks.adding import Added


def _address(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return parse_address(text)
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "An address is shown by: hallmark id") from error


@click.command("add")
@click.argument("source", metavar="FILE|URL")
@click.option(
    "--publisher", metavar="ADDRESS", help="Who must have signed it. Take this from another place than the file."
)
@click.option("--replace", is_flag=True, help="Instead of whatever is stored under its name.")
@everywhere
def add(source: str, publisher: str | None, replace: bool, data_dir: str | None, as_json: bool) -> None:
    """Check a network file, show what it is, and store it under its name."""
    from ..networks.adding import add_network

    directory, text = find_data_dir(data_dir), _text_at(source)
    added = add_network(directory, text, source, publisher=_address(publisher), replace=replace)
    told = dict[str, Any]()
    if added.signed and directory.socket.exists():
        told = trio.run(_tell, directory, text)
    if as_json:
        about = {"network": added.network.name, "version": added.network.version, "signed": added.signed}
        about["taken"] = told.get("taken", False)
        echo_json({"event": "added", "file": str(added.place), "kept": added.kept} | about)
        return
    _show(added)
    if added.kept:
        click.echo(f"\nVersion {added.network.version} is stored in {added.place} already, and stays.")
    else:
        click.echo(f"\nStored in {added.place}.")
    if told.get("taken"):
        click.echo("The peer that runs here has taken it over, and gives it to others.")
        return
    where = f" --data-dir {data_dir}" if data_dir else ""
    click.echo(f"\nNext: hallmark serve --network {added.network.name}{where}")


async def _tell(directory: DataDir, text: str) -> dict[str, Any]:
    """Have the node that runs here, if one does, take over what was stored."""
    return await call_node(directory.socket, "network.take", {"text": text}, lambda _: None) or {}


def _text_at(source: str) -> str:
    if not source.startswith(("http://", "https://")):
        return read_network_file(Path(source).expanduser())
    from ..networks.fetching import fetch_file

    return trio.run(fetch_file, source)


def _show(added: Added) -> None:
    network = added.network
    click.echo(f"Network {network.name!r}")
    if network.chain is None:
        echo_field("chain", "none: nothing is paid on this network")
    else:
        from settle.rpc import shown_url  # with it httpx, a third of a second

        rpcs = ", ".join(dict.fromkeys(shown_url(url) for url in network.chain.rpcs))
        echo_field("chain", f"{network.chain_id}, after {network.chain.confirmations} confirmation(s); RPCs {rpcs}")
    echo_field("domain", f"{network.chain_id}, {show_address(network.contract)}")
    if network.publisher is None:
        echo_field("publisher", "none: the file never changes by itself")
    else:
        how = ", signed" if added.signed else "" if added.kept else ", and this file itself is not signed"
        echo_field("publisher", f"{show_address(network.publisher)}, version {network.version}{how}")
    echo_field("seeds", ", ".join(network.bootstraps) or "none: give one with --bootstrap ADDRESS")
    if network.relays:
        echo_field("relays", ", ".join(network.relays))
    verifiers = f"{len(network.verifiers)} in epoch {network.epoch}, committees of {network.committee_size}"
    echo_field("verifiers", verifiers)


@click.command("sign")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--hand-over", metavar="ADDRESS", help="Who signs from the next version on.")
@click.option(
    "--update-url", "urls", multiple=True, metavar="URL", help="Where newer files will stand; may be repeated."
)
@everywhere
def sign(file: Path, hand_over: str | None, urls: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """Sign a network file with this peer's key as its next version, for peers to take over. It is written anew.

    The first to sign a file becomes its publisher.
    """
    key, network = load_key(find_data_dir(data_dir).key), load_network(file)
    if network.publisher not in (None, key.address):
        said = f"the publisher of network {network.name!r} is {show_address(network.publisher)}"
        raise CommandError(Exit.USAGE, f"{said}, and this peer is {show_address(key.address)}", "Sign it there.")
    changed = msgspec.structs.replace(
        network,
        publisher=_address(hand_over) or key.address,
        version=network.version + 1,
        updates=urls or network.updates,
    )
    text = show_network(changed)
    try:
        parse_network(text)  # one set of rules, also for our own
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error)) from error
    signed = sign_file(text, key, changed.domain).text
    try:
        replace_file(file, signed.encode(), PUBLIC)
    except OSError as error:
        said = f"the network file {file} cannot be written: {error.strerror}"
        raise CommandError(Exit.STORAGE, said, "Make room, or choose another.") from error
    if as_json:
        about = {"network": changed.name, "version": changed.version, "signer": show_address(key.address)}
        echo_json({"event": "signed", "file": str(file), "publisher": show_address(changed.publisher or b"")} | about)
        return
    click.echo(f"Signed {file}: version {changed.version} of network {changed.name!r}, by {show_address(key.address)}.")
    if hand_over:
        click.echo(f"From the next version on {hand_over} signs.")
    click.echo(f"\nNext, on a peer of the network: hallmark network add {file}. The others hear of it from that one.")
    if changed.updates:
        click.echo(f"Put it at {', '.join(changed.updates)} too.")


@click.command("update")
@click.option("--network", metavar="NAME", help="Which network, where no peer runs here.")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to ask; may be repeated.")
@everywhere
def update(network: str | None, bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """Ask for a newer network file, signed by its publisher, and take it over. A running peer does so by itself."""
    directory, flags = find_data_dir(data_dir), {"network": network, "bootstraps": bootstraps}
    load_config(directory, flags)
    with Shown(as_json) as shown:
        found = trio.run(run_operation, directory, flags, "network.update", {}, shown)
    if as_json:
        echo_json({"event": "network.updated"} | found)
        return
    for failure in found["failures"]:
        click.echo(f"  {failure}")
    if found["version"] > found["before"]:
        click.echo(
            f"Network {found['network']!r} is at version {found['version']} now, signed by {found['publisher']}."
        )
    elif found["asked"] == len(found["failures"]) > 0:
        click.echo(f"Nobody who was asked could say: version {found['version']} of network {found['network']!r} stays.")
    elif found["asked"] == 0:
        click.echo("Nobody could be asked: the file has no update URLs, and no peer is connected.")
    else:
        click.echo(f"Version {found['version']} of network {found['network']!r} is the newest known to those asked.")
