"""`hallmark network new | epoch | show | add | sign | update`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wire.errors import RecordError
from wire.keys import peer_id_of, show_address
from wire.network import Network

from ..clock import now_ms
from ..config import load_config
from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from ..keyfile import load_key
from ..local import find_network
from ..networkfile import load_network, new_network, next_epoch, save_network, show_chain
from .networkfiles import add, sign, update
from .screen import echo_json, everywhere


@click.group("network", short_help="make, change and show network files")
def command() -> None:
    """A network file makes peers one network: its name, its verifiers, its rules."""


for each in (add, sign, update):
    command.add_command(each)


@command.command("new")
@click.argument("name")
@click.option(
    "--verifier", "verifiers", multiple=True, metavar="PEER_ID", help="A verifier; may be repeated. Default: this peer."
)
@click.option(
    "--committee", type=click.IntRange(0, 256), default=0, help="Members drawn for an answer. Default: all, up to 16."
)
@click.option(
    "--bootstrap",
    "bootstraps",
    multiple=True,
    metavar="ADDRESS",
    help="Where newcomers connect first; may be repeated.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write. Default: NAME.toml here.")
@everywhere
def new(
    name: str, verifiers: tuple[str, ...], committee: int, bootstraps: tuple[str, ...], out: Path | None,
    data_dir: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write the file of a new network, to be given to everyone who shall join it."""
    chosen = verifiers or (load_key(find_data_dir(data_dir).key).peer_id,)
    network = new_network(name, chosen, committee=committee, bootstraps=bootstraps)
    place = out or Path(f"{name}.toml")
    if place.exists():
        raise CommandError(Exit.CONFIG, f"{place} exists already", "Choose another place: --out FILE")
    save_network(place, network)
    if as_json:
        echo_json({"event": "network", "file": str(place)} | describe(network))
        return
    click.echo(f"Wrote {place}: network {name!r}, {len(chosen)} verifier(s), committees of {network.committee_size}.")
    click.echo(f"\nNext, on every peer: hallmark serve --network {place}")


@command.command("epoch")
@click.argument("network", default="")
@click.option(
    "--verifier",
    "verifiers",
    multiple=True,
    required=True,
    metavar="PEER_ID",
    help="A verifier from then on; repeat for each.",
)
@click.option("--committee", type=click.IntRange(0, 256), default=0, help="Members drawn then. Default: as now.")
@click.option(
    "--in",
    "minutes",
    type=click.IntRange(0, 60 * 24 * 30),
    default=10,
    show_default=True,
    metavar="MINUTES",
    help="When it begins: every peer must have the file, and be started with it, before.",
)
@everywhere
def epoch(
    network: str, verifiers: tuple[str, ...], committee: int, minutes: int, data_dir: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Change a network's verifiers: open its next epoch, with a new beacon. The old one moves into the file's past.

    Give all verifiers, also those who stay. What was proved before stays valid; the file is then handed on anew.
    """
    place = find_network(find_data_dir(data_dir), network)
    rules = load_network(place)
    if rules.chain:
        said = (
            f"the epochs of network {rules.name!r} are its chain's: whoever has a bond as a verifier is in the next one"
        )
        raise CommandError(Exit.USAGE, said, "Become one: hallmark stake AMOUNT --role verifier")
    try:
        changed = next_epoch(rules, verifiers, now_ms() + minutes * 60_000, committee=committee)
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "Verifiers are given by peer id: hallmark id") from error
    save_network(place, changed)
    if as_json:
        echo_json({"event": "network", "file": str(place)} | describe(changed))
        return
    listed = len(changed.verifiers)
    click.echo(f"Wrote {place}: epoch {changed.epoch} of network {changed.name!r}, {listed} verifier(s).")
    if changed.publisher is not None:
        click.echo(
            f"\nIt begins in {minutes} minutes. Next, where its publisher's key is: hallmark network sign {place}"
        )
        return
    click.echo(f"\nIt begins in {minutes} minutes. Next, on every peer: hallmark serve --network {place}")


@command.command("show")
@click.argument("network", default="")
@everywhere
def show(network: str, data_dir: str | None, as_json: bool) -> None:
    """Show a network file: a path, a stored name, or the one this peer uses."""
    directory = find_data_dir(data_dir)
    place = find_network(directory, network or load_config(directory, {}).config.network)
    rules = load_network(place)
    if as_json:
        echo_json({"event": "network", "file": str(place)} | describe(rules))
        return
    click.echo(place.read_text())


def describe(network: Network) -> dict[str, Any]:
    """The network's rules, ready for JSON."""
    return {
        "name": network.name,
        "chain_id": network.chain_id,
        "contract": show_address(network.contract),
        "epoch": network.epoch,
        "from_ms": network.from_ms,
        "past_epochs": [registry.epoch for registry in network.past],
        "committee_size": network.committee_size,
        "quorum": [network.quorum_numerator, network.quorum_denominator],
        "sample": network.sample_bps / 10_000,
        "bootstraps": list(network.bootstraps),
        "relays": list(network.relays),
        "publisher": None if network.publisher is None else show_address(network.publisher),
        "version": network.version,
        "updates": list(network.updates),
        "verifiers": [{"peer_id": peer_id_of(v.key), "weight": v.weight} for v in network.verifiers],
        "profiles": {p.name: p.tolerance for p in network.profiles},
        "chain": None if network.chain is None else show_chain(network.chain),
    }
