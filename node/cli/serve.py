"""`hallmark serve`"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any, get_args

import click
import trio

from ..config import ROLES, HubPolicy, Rendezvous, load_config
from ..datadir import DataDir, find_data_dir
from ..local import find_network, initialise
from ..mirroring import read_policy
from ..networkfile import read_network_file
from ..networks.adding import add_network
from ..petnames import load_petnames
from .amount import AmountParam
from .money import show_money
from .reach import rendezvous_line, show_reach
from .screen import counted, echo_json, everywhere, folded


@click.command("serve", short_help="run a peer")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="What the peer does; may be repeated. Default: hub.",
)
@click.option(
    "--listen",
    multiple=True,
    metavar="ADDRESS",
    help="Where to listen, and nowhere else, such as /ip4/127.0.0.1/tcp/4001; may be repeated. "
    "Default: all addresses of this machine, at port 4001 or the next that is free.",
)
@click.option(
    "--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to connect to; may be repeated."
)
@click.option("--network", metavar="FILE|NAME", help="The network to join: a file, or the name of one stored here.")
@click.option(
    "--hub-policy", type=click.Choice(get_args(HubPolicy)), help="What a hub mirrors. Default: pinned, nothing."
)
@click.option(
    "--hub-publisher",
    "hub_publishers",
    multiple=True,
    metavar="PUBLISHER",
    help="For the policy publishers; may be repeated.",
)
@click.option("--hub-tag", "hub_tags", multiple=True, metavar="TAG", help="For the policy tags; may be repeated.")
@click.option(
    "--announce", multiple=True, metavar="ADDRESS", help="An address to tell everybody, unchecked; may be repeated."
)
@click.option(
    "--rendezvous",
    multiple=True,
    type=click.Choice(get_args(Rendezvous)),
    help="Also meet peers of this network through a public one: amino is that of IPFS.",
)
@click.option("--price", type=AmountParam(), help="Tokens asked per request, such as 0.01.")
@click.option(
    "--tier-price",
    multiple=True,
    metavar="TIER=PRICE",
    help="Asked in one tier instead, such as quorum=0.05; may be repeated.",
)
@click.option("--account", metavar="NAME", help="Whose tokens are earned and spent here. Default: owner.")
@click.option(
    "--passphrase-file", metavar="FILE", help="What unlocks it, since nobody types here (HALLMARK_PASSPHRASE_FILE)."
)
@everywhere
def command(data_dir: str | None, as_json: bool, network: str | None, **flags: Any) -> int:
    """Run a peer until Ctrl-C: the first lets work in hand finish, the second stops at once."""
    directory = find_data_dir(data_dir)
    name = _prepare(directory, network, as_json)
    price = flags["price"]
    flags["price"] = None if price is None else f"{price}u"
    config = load_config(directory, flags | {"network": name}).config
    read_policy(config, load_petnames(directory.petnames))  # a mistake is told now, and not by a service later
    logging.getLogger("hallmark").setLevel(logging.INFO)
    from ..serving import serve

    show = functools.partial(_show, as_json)
    return int(trio.run(serve, directory, config, show))


def _prepare(directory: DataDir, network: str | None, as_json: bool) -> str | None:
    """Make the peer on its first start, and store a network file that was given; the network's name."""
    given = Path(network).expanduser() if network and (network.endswith(".toml") or "/" in network) else None
    if network and given is None:
        find_network(directory, network)  # before a peer is made for one that is not here
    if not directory.initialised:
        key, _ = initialise(directory, given)
        if not as_json:
            click.echo(f"Made a new peer in {directory.path}: {key.peer_id}")
    if given is None:
        return network
    return add_network(directory, read_network_file(given), str(given)).network.name


def _show(as_json: bool, event: dict[str, Any]) -> None:
    if as_json:
        echo_json(event)
    elif event["event"] == "ready":
        click.echo(f"Ready: {event['peer_id']} on network {event['network']!r}, roles {', '.join(event['roles'])}")
        for address in event["addresses"] or event["listening"]:
            click.echo(f"  at {address}")
        if event["join"]:
            click.echo(f"\nTo join from another {event['join_from']}:\n  {event['join']}\n")
        if event.get("can_settle"):
            click.echo("A verifier can settle epochs too, and earns a share: --role verifier --role settler\n")
    elif event["event"] == "reach":
        show_reach(event)
    elif event["event"] == "rendezvous":
        click.echo(f"Amino: {rendezvous_line(event)}")
    elif event["event"] == "alone":
        click.echo("Nobody of this network answers; it goes on trying:")
        for failure in event["failures"]:
            click.echo("  " + "\n    ".join(folded(failure, 4)))
    elif event["event"] == "strangers":
        click.echo(f"Whoever is connected is of another network: {', '.join(event['networks'])}")
        click.echo("  Serve that one by its file, --network FILE, or give an address of this one, --bootstrap ADDRESS")
    elif event["event"] == "joined":
        click.echo(f"Joined: {counted(event['peers'], 'peer')} connected.")
    elif event["event"] == "money":
        show_money(event)
        click.echo()
    elif event["event"] == "draining":
        left = f"{event['busy']} piece(s) of work in hand" if event["busy"] else "nothing in hand"
        click.echo(f"Stopping: {left}. Press Ctrl-C again to stop at once.")
    else:
        click.echo("Stopped.")
