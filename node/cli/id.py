"""`hallmark id`"""

from __future__ import annotations

import click

from wire.keys import show_address

from ..datadir import find_data_dir
from ..keyfile import load_key
from .screen import echo_json, everywhere


@click.command("id", short_help="show this peer")
@everywhere
def command(data_dir: str | None, as_json: bool) -> None:
    """Show this peer's id, public key and EVM address. Nothing shown is secret."""
    directory = find_data_dir(data_dir)
    key = load_key(directory.key)
    if as_json:
        echo_json(
            {"event": "id", "peer_id": key.peer_id, "public_key": key.public, "address": show_address(key.address)}
        )
        return
    click.echo(f"Peer        {key.peer_id}")
    click.echo(f"Public key  {key.public.hex()}")
    click.echo(f"Address     {show_address(key.address)}")
    click.echo(f"Data        {directory.path}")
