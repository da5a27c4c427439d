"""`hallmark channel ls | open | topup | close | claim | restore`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import trio

from ..chain.amounts import show_amount
from ..datadir import find_data_dir
from ..errors import Exit
from ..running import run_operation
from .amount import AmountParam
from .progress import Shown
from .screen import echo_json, everywhere, minute, show_table, table

_DEPOSIT = click.option("--deposit", type=AmountParam(least=1), required=True, help="How many tokens, such as 1.5.")
_BOOTSTRAP = click.option(
    "--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to start from; may be repeated."
)
_PASSPHRASE = click.option(
    "--passphrase-file", type=click.Path(dir_okay=False), help="What unlocks the account that pays."
)


@click.group("channel", short_help="payment channels")
def command() -> None:
    """Payment channels: deposits on the chain that vouchers draw on, one between a payer and a provider."""


def _run(data_dir: str | None, as_json: bool, name: str, params: dict[str, Any], **flags: Any) -> dict[str, Any]:
    with Shown(as_json) as shown:
        found: dict[str, Any] = trio.run(run_operation, find_data_dir(data_dir), flags, name, params, shown)
    if as_json:
        echo_json({"event": name} | found)
    return found


@command.command("ls")
@everywhere
def ls(data_dir: str | None, as_json: bool) -> int:
    """List the channels this peer pays from, and those that pay it; deposits as the chain last showed them."""
    found = _run(data_dir, as_json, "channel.ls", {})
    if as_json:
        return int(Exit.OK)
    if found["paying"]:
        rows = table("paying from", ">deposit", ">owed", ">left", ">withdrawing", "provider")
        for row in found["paying"]:
            cells = (show_amount(row[name]) for name in ("deposit", "owed", "left"))
            rows.add_row(row["channel"][:16], *cells, _leaving(row), row["provider"])
        show_table(rows)
    if found["earning"]:
        rows = table("paid by", ">deposit", ">charged", ">claimed", ">unclaimed", ">withdrawing", "payer")
        for row in found["earning"]:
            cells = (show_amount(row[name]) for name in ("deposit", "charged", "claimed", "unclaimed"))
            rows.add_row(row["channel"][:16], *cells, _leaving(row), row["payer"])
        show_table(rows)
    if not found["paying"] and not found["earning"]:
        click.echo("There are no channels.\n\nNext: hallmark quote MODEL")
    return int(Exit.OK)


@command.command("open")
@click.argument("provider")
@_DEPOSIT
@_PASSPHRASE
@_BOOTSTRAP
@everywhere
def open_(
    provider: str, deposit: int, passphrase_file: str | None, bootstraps: tuple[str, ...], data_dir: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Pay into a channel with PROVIDER (a peer id), so that its answers can be paid."""
    params = {"provider": provider, "deposit": deposit}
    found = _run(
        data_dir, as_json, "channel.open", params, bootstraps=bootstraps, passphrase_file=passphrase_file
    )  # fmt: skip
    return _filled(found, as_json)


@command.command("topup")
@click.argument("channel")
@_DEPOSIT
@_PASSPHRASE
@_BOOTSTRAP
@everywhere
def topup(
    channel: str, deposit: int, passphrase_file: str | None, bootstraps: tuple[str, ...], data_dir: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Pay more into CHANNEL: a provider's peer id, or the beginning of a channel's id."""
    params = {"channel": channel, "deposit": deposit}
    found = _run(
        data_dir, as_json, "channel.topup", params, bootstraps=bootstraps, passphrase_file=passphrase_file
    )  # fmt: skip
    return _filled(found, as_json)


@command.command("close")
@click.argument("channel")
@_PASSPHRASE
@everywhere
def close(channel: str, passphrase_file: str | None, data_dir: str | None, as_json: bool) -> int:
    """Take back what is left in CHANNEL: once to begin, and again when its delay is over, to finish.

    Between the two its provider claims what it earned.
    """
    found = _run(data_dir, as_json, "channel.close", {"channel": channel}, passphrase_file=passphrase_file)
    if as_json:
        return int(Exit.OK)
    if found["done"]:
        click.echo(f"Paid back: {show_amount(found['amount'])}" if found["amount"] else "There is nothing left in it.")
    else:
        click.echo(f"On its way back: {show_amount(found['amount'])}, from {minute(found['until'] * 1000)}")
        click.echo(f"\nNext, in {found['seconds']} s: hallmark channel close {channel}")
    return int(Exit.OK)


@command.command("claim")
@_PASSPHRASE
@everywhere
def claim(passphrase_file: str | None, data_dir: str | None, as_json: bool) -> int:
    """Claim all that this provider earned and has not claimed. It does that by itself when it is worth the gas."""
    found = _run(data_dir, as_json, "channel.claim", {}, passphrase_file=passphrase_file)
    if not as_json:
        click.echo(f"Claimed: {show_amount(found['claimed'])}" if found["claimed"] else "There is nothing to claim.")
    return int(Exit.OK)


@command.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@everywhere
def restore(file: Path, data_dir: str | None, as_json: bool) -> int:
    """Take vouchers over from FILE, the backup that the setting voucher_backup names, after a store was lost."""
    found = _run(data_dir, as_json, "channel.restore", {"file": str(file.absolute())})
    if not as_json:
        click.echo(f"Restored: {found['restored']} channel(s), {show_amount(found['unclaimed'])} to be claimed")
        if found["foreign"]:
            click.echo(f"Left out: {found['foreign']} that are not this peer's on this network")
        if found["damaged"]:
            click.echo(f"Damaged: the last {found['damaged']} bytes of the file")
        if found["unclaimed"]:
            click.echo("\nNext: hallmark channel claim")
    return int(Exit.OK)


def _filled(found: dict[str, Any], as_json: bool) -> int:
    if not as_json:
        click.echo(f"channel    {found['channel']}\nprovider   {found['provider']}")
        click.echo(f"deposit    {show_amount(found['deposit'])}, of which {show_amount(found['left'])} are left")
    return int(Exit.OK)


def _leaving(row: dict[str, Any]) -> str:
    if row["withdrawn_from"] is None:
        return "–"
    return f"{show_amount(row['withdrawing'])} from {minute(row['withdrawn_from'] * 1000)}"
