"""`hallmark chain dev`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import trio

from wire.errors import RecordError
from wire.keys import parse_address, show_address

from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from ..interrupt import interruptible
from .screen import echo_json, everywhere

if TYPE_CHECKING:
    from settle.devnet import Running, Settings

PORT = 8545  # where Ethereum's tools look


@click.command("dev", short_help="run a chain on this machine, for demos and tests")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the chain is kept. Default: devnet in this peer's data directory.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one.")
@click.option(
    "--block-time",
    type=click.FloatRange(0.01, 60),
    default=0.2,
    show_default=True,
    help="Seconds between blocks at least. Without transactions one comes every 5 seconds.",
)
@click.option("--fund", "funded", multiple=True, metavar="ADDRESS", help="An account to give ether; may be repeated.")
@everywhere
def command(
    directory: Path | None, port: int, block_time: float, funded: tuple[str, ...], data_dir: str | None, as_json: bool
) -> None:
    """Run an EVM chain on this machine until Ctrl-C. It is kept on disk and survives a crash.

    A single sequencer makes its blocks and nobody checks them: it is for demos and tests, and its ether is worth
    nothing. Who needs some asks for it: hallmark wallet faucet
    """
    from settle.devnet import Settings

    try:
        fund = tuple(parse_address(account) for account in funded)
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "An address is 0x and 40 digits: hallmark wallet address") from error
    where = directory or find_data_dir(data_dir).path / "devnet"
    trio.run(_run, Settings(where, port, block_time, fund=fund), as_json)


async def _run(settings: Settings, as_json: bool) -> None:
    from settle.devnet import serve

    async def operation() -> None:
        async with trio.open_nursery() as nursery:
            _show(await nursery.start(serve, settings), settings, as_json)

    await interruptible(operation)


def _show(running: Running, settings: Settings, as_json: bool) -> None:
    from settle.devnet import WARNING

    if as_json:
        said = {"event": "ready", "url": running.url, "chain_id": running.chain_id, "block": running.block}
        echo_json(said | {"faucet": show_address(running.faucet), "dir": str(settings.directory), "note": WARNING})
        return
    click.echo(f"Ready: chain {running.chain_id} at {running.url}, block {running.block}")
    click.echo(f"  kept in {settings.directory}; its faucet is {show_address(running.faucet)}")
    click.echo(f"  {WARNING}")
    click.echo("\nTo put the contracts on it and make a network file, from another terminal:")
    click.echo(f"  hallmark chain deploy --rpc {running.url}\n")
