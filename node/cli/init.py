"""`hallmark init`"""

from __future__ import annotations

from pathlib import Path

import click

from wire.keys import show_address

from ..datadir import find_data_dir
from ..local import initialise
from ..networkfile import load_network
from .screen import echo_json, everywhere


@click.command("init", short_help="make a peer")
@click.option(
    "--network", type=click.Path(path_type=Path), help="The network file to join; without it, one of its own."
)
@everywhere
def command(network: Path | None, data_dir: str | None, as_json: bool) -> None:
    """Make a peer: a key of its own, a data directory, and the network it belongs to."""
    directory = find_data_dir(data_dir)
    added = next(directory.networks.glob("*.toml"), None)  # by `hallmark network add`, before
    key, place = initialise(directory, network)
    if as_json:
        echo_json(
            {"event": "init", "peer_id": key.peer_id, "address": show_address(key.address),
             "data_dir": str(directory.path), "network": str(place)}
        )  # fmt: skip
        return
    rules = load_network(place)
    click.echo(f"Peer     {key.peer_id}")
    click.echo(f"Address  {show_address(key.address)}")
    click.echo(f"Data     {directory.path}")
    own = " (its own: this peer is the only verifier)" if added is None and network is None else ""
    click.echo(f"Network  {rules.name}{own}: {place}")
    click.echo("\nNext: hallmark serve --role hub --role provider --role verifier")
