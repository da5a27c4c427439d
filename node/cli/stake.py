"""`hallmark stake AMOUNT`, `hallmark stake show | unjail`"""

from __future__ import annotations

from typing import Any

import click
import trio

from wire.errors import RecordError
from wire.keys import address_of, parse_address, public_of

from ..chain.amounts import parse_amount, show_amount
from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from ..running import run_operation
from .progress import Shown
from .screen import echo_field, echo_json, everywhere, minute, show_table, table

ROLES = ("provider", "verifier", "settler", "hub")
account = click.option("--account", metavar="NAME", help="Which account. Default: the setting `account`, owner.")
passphrase = click.option(
    "--passphrase-file", metavar="FILE", help="What unlocks it, for scripts (HALLMARK_PASSPHRASE_FILE)."
)


def run_chained(data_dir: str | None, as_json: bool, name: str, params: dict[str, Any], **flags: Any) -> dict[str, Any]:
    """Run an operation of money; its result is shown here with --json, and by the caller without."""
    with Shown(as_json) as shown:
        found: dict[str, Any] = trio.run(run_operation, find_data_dir(data_dir), flags, name, params, shown)
    if as_json:
        echo_json({"event": name} | found)
    return found


def node_address(text: str) -> bytes:
    """The address of a node that is given by peer id, or by the address itself."""
    try:
        return parse_address(text) if text.startswith("0x") else address_of(public_of(text))
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "A node's peer id or address: hallmark stake show") from error


class _AmountFirst(click.Group):
    """`stake 100` is `stake add 100`: what is no subcommand is an amount, or an option before one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["add", *args]
        return super().parse_args(ctx, args)


@click.group("stake", cls=_AmountFirst, short_help="put tokens behind your node", subcommand_metavar="AMOUNT | COMMAND")
def command() -> None:
    """Put AMOUNT tokens behind this node, such as hallmark stake 100 --role verifier: it is registered to your account
    where it is not yet, and counts from the next epoch on. A node that cheats loses of them.

    \b
    --role ROLE         provider, verifier, settler or hub; may be repeated
    --commission RATE   percent of what delegators earn that you keep
    """


@command.command("add", hidden=True)
@click.argument("amount", required=False)
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="What the node counts as; may be repeated. Default: as it is registered, or what it runs as.",
)
@click.option(
    "--commission",
    type=click.FloatRange(0, 50),
    metavar="PERCENT",
    help="Of what those who delegate to it earn, your part. A raise takes as long as unbonding does.",
)
@account
@passphrase
@everywhere
def add(
    amount: str | None, roles: tuple[str, ...], commission: float | None, account: str | None,
    passphrase_file: str | None, data_dir: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Put AMOUNT tokens behind this node."""
    if amount is None and not roles and commission is None:
        raise CommandError(Exit.USAGE, "there is nothing to do", "Give an amount, such as: hallmark stake 100")
    params = {
        "amount": parse_amount(amount) if amount else 0,
        "roles": list(roles),
        "commission": None if commission is None else round(commission * 100),
    }
    now = run_chained(data_dir, as_json, "stake", params, account=account, passphrase_file=passphrase_file)
    if as_json:
        return
    click.echo(
        f"Behind this node stand {show_amount(now['stake'])} tokens, {show_amount(now['own'])} of them your own."
    )
    echo_field("node", f"{now['peer_id']}  {now['node']}")
    echo_field("counts as", f"{', '.join(now['active']) or 'nothing'}, from the epoch after {now['epoch']} on")
    for role in now["roles"]:
        if role not in now["active"]:
            least = show_amount(now["minimums"][role])
            echo_field("", f"not as {role}: that takes {least} tokens of your own, and a node that is not jailed")
    click.echo("\nNext: hallmark stake show")


@command.command("show")
@everywhere
def show(data_dir: str | None, as_json: bool) -> None:
    """Show who has what at stake: all nodes, those with the most first."""
    found = run_chained(data_dir, as_json, "stake.show", {})
    if as_json:
        return
    if not found["operators"]:
        click.echo("Nobody has registered yet.\n\nNext: hallmark stake AMOUNT --role verifier")
        return
    rows = table("node", "counts as", ">stake", ">own", ">delegated", ">unbonding", ">commission", "")
    for one in found["operators"]:
        idle = [role for role in one["roles"] if role not in one["active"]]
        states = [f"jailed until {minute(one['jailed_until_s'] * 1000)}"] if one["jailed_until_s"] else []
        states += [f"not yet {', '.join(idle)}"] if idle and not states else []
        amounts = (show_amount(one[name]) for name in ("stake", "own", "delegated", "unbonding"))
        here = ["this node"] if one["mine"] else []
        rows.add_row(
            one["peer_id"], ", ".join(one["active"]) or "nothing", *amounts, f"{one['commission_bps'] / 100:g}%",
            "; ".join([*here, *states]),
        )  # fmt: skip
    show_table(rows)
    click.echo(f"\nAs of block {found['block']}, in epoch {found['epoch']}. Changes count from the next epoch on.")


@command.command("unjail")
@account
@passphrase
@everywhere
def unjail(account: str | None, passphrase_file: str | None, data_dir: str | None, as_json: bool) -> None:
    """Let this node count again, when the time after its slash is over."""
    run_chained(data_dir, as_json, "stake.unjail", {}, account=account, passphrase_file=passphrase_file)
    if not as_json:
        click.echo("The node counts again from the next epoch on.\n\nNext: hallmark stake show")
