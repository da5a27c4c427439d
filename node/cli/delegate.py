"""`hallmark delegate`"""

from __future__ import annotations

import click

from ..chain.amounts import parse_amount, show_amount
from .screen import everywhere
from .stake import account, node_address, passphrase, run_chained


@click.command("delegate", short_help="put tokens behind another's node")
@click.argument("node")
@click.argument("amount")
@account
@passphrase
@everywhere
def command(
    node: str, amount: str, account: str | None, passphrase_file: str | None, data_dir: str | None, as_json: bool
) -> None:
    """Put AMOUNT of your tokens behind NODE (a peer id or an address): they earn what it earns, less its commission,
    and are slashed with it when it cheats."""
    params = {"node": node_address(node), "amount": parse_amount(amount)}
    now = run_chained(data_dir, as_json, "delegate", params, account=account, passphrase_file=passphrase_file)
    if as_json:
        return
    click.echo(f"You have {show_amount(now['worth'])} tokens behind {now['peer_id']}.")
    click.echo(f"\nTo take them back: hallmark unstake --all --node {now['peer_id']}")
