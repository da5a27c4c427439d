"""`hallmark claim`"""

from __future__ import annotations

import click

from ..chain.amounts import show_amount
from .screen import everywhere
from .stake import account, passphrase, run_chained


@click.command("claim", short_help="have what you earned paid out")
@click.option("--epoch", type=click.IntRange(min=0), help="One epoch alone. Default: all that are final.")
@click.option(
    "--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to start from; may be repeated."
)
@account
@passphrase
@everywhere
def command(
    epoch: int | None,
    bootstraps: tuple[str, ...],
    account: str | None,
    passphrase_file: str | None,
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Claim every line that pays this node and was not paid yet.

    What it earned as a provider and as a publisher goes to its owner's account. What it earned as a verifier, a settler
    or a hub goes to all who stand behind it, and grows what they have at stake.
    """
    flags = {"bootstraps": bootstraps, "account": account, "passphrase_file": passphrase_file}
    found = run_chained(data_dir, as_json, "claim", {"epoch": epoch}, **flags)
    if as_json:
        return
    for one in found["claimed"]:
        click.echo(f"Epoch {one['epoch']}: {show_amount(one['amount'])} as {one['role']}")
    for one in found["unknown"]:
        click.echo(f"Epoch {one['epoch']}: unknown, since {one['why']}", err=True)
    if not found["claimed"]:
        click.echo("Nothing to claim. See: hallmark epoch ls")
