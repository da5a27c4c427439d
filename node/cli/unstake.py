"""`hallmark unstake`"""

from __future__ import annotations

from typing import Any

import click

from ..chain.amounts import parse_amount, show_amount
from ..chain.wallets import account_address
from ..config import load_config
from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from .screen import everywhere, minute
from .stake import account, node_address, passphrase, run_chained


@click.command("unstake", short_help="take tokens back")
@click.argument("amount", required=False)
@click.option("--all", "everything", is_flag=True, help="All that you have behind the node.")
@click.option("--node", metavar="NODE", help="From behind which node (a peer id or an address). Default: this one.")
@click.option("--withdraw", is_flag=True, help="Take what is free by now.")
@account
@passphrase
@everywhere
def command(
    amount: str | None, everything: bool, node: str | None, withdraw: bool, account: str | None,
    passphrase_file: str | None, data_dir: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Take AMOUNT tokens from behind a node: they count no more from the next epoch on, and are yours again when the
    unbonding is over, with --withdraw. Without anything else, show what is unbonding."""
    if sum((amount is not None, everything, withdraw)) > 1:
        raise CommandError(Exit.USAGE, "AMOUNT, --all and --withdraw are three different things", "Give one of them.")
    flags = {"account": account, "passphrase_file": passphrase_file}
    if withdraw:
        _withdrawn(run_chained(data_dir, as_json, "unstake.withdraw", {}, **flags), as_json)
    elif amount is not None or everything:
        params = {
            "amount": None if amount is None else parse_amount(amount),
            "node": node_address(node) if node else b"",
        }
        begun = run_chained(data_dir, as_json, "unstake", params, **flags)
        if not as_json:
            click.echo(f"Unbonding from {begun['node']}: free on {minute(begun['release_s'] * 1000)}.")
            click.echo("\nThen: hallmark unstake --withdraw")
    else:
        directory = find_data_dir(data_dir)
        name = load_config(directory, {"account": account}).config.account
        mine = account_address(directory, name)
        found = run_chained(data_dir, as_json, "unstake.ls", {"account": mine}, **flags)
        if not as_json:
            _show(found["waiting"])
            if not found["waiting"]:
                click.echo("Nothing is unbonding.\n\nTo begin: hallmark unstake AMOUNT")


def _withdrawn(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return
    if found["taken"]:
        click.echo(f"Withdrew {show_amount(found['taken'])} tokens.")
    elif not found["waiting"]:
        click.echo("Nothing is unbonding.")
    _show(found["waiting"])


def _show(waiting: list[dict[str, Any]]) -> None:
    for one in waiting:
        released = minute(one["release_s"] * 1000)
        click.echo(f"{show_amount(one['amount'])} tokens from behind {one['node']}, free on {released}")
