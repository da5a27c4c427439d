"""`hallmark wallet new | import | ls | address | balance | send | faucet`"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import trio

from wire.errors import RecordError
from wire.keys import NodeKey, parse_address, show_address

from ..chain.amounts import parse_amount, show_amount
from ..chain.wallets import account_address, account_file, get_passphrase, list_accounts
from ..config import Config, load_config
from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from ..running import run_operation
from .progress import Shown
from .screen import echo_field, echo_json, everywhere, show_table, table

_account = click.option("--account", metavar="NAME", help="Which account. Default: the setting `account`, owner.")
_passphrase = click.option(
    "--passphrase-file", metavar="FILE", help="What unlocks it, for scripts (HALLMARK_PASSPHRASE_FILE)."
)


@click.group("wallet", short_help="accounts that hold tokens")
def command() -> None:
    """Accounts hold funds; the node's key holds none. Each is a file, encrypted with a passphrase, that any Ethereum
    wallet can read: keep a copy of it and of the passphrase, since nobody can restore either."""


@command.command("new")
@_account
@_passphrase
@everywhere
def new(account: str | None, passphrase_file: str | None, data_dir: str | None, as_json: bool) -> None:
    """Make an account."""
    _create(account, passphrase_file, data_dir, as_json, lambda _: None)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_account
@_passphrase
@click.option(
    "--from-passphrase-file", metavar="FILE", help="What unlocks FILE, where that is another passphrase than ours."
)
@everywhere
def import_(
    file: Path, account: str | None, passphrase_file: str | None, from_passphrase_file: str | None,
    data_dir: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Take over an account: FILE is another wallet's keystore (V3), or holds a secret key of 64 hexadecimal digits."""

    def read(config: Config) -> NodeKey:
        given = from_passphrase_file or config.passphrase_file
        return _read_key(file, replace(config, account=file.stem, passphrase_file=given))

    _create(account, passphrase_file, data_dir, as_json, read)


@command.command("ls")
@everywhere
def ls(data_dir: str | None, as_json: bool) -> None:
    """List the accounts that are kept here."""
    accounts = list_accounts(find_data_dir(data_dir))
    if as_json:
        shown = {name: address and show_address(address) for name, address in accounts.items()}
        echo_json({"event": "accounts", "accounts": shown})
        return
    if not accounts:
        click.echo("No account yet. Make one: hallmark wallet new")
        return
    rows = table("account", "address")
    for name, address in accounts.items():
        rows.add_row(name, show_address(address) if address else "it does not say")
    show_table(rows)


@command.command("address")
@_account
@everywhere
def address_(account: str | None, data_dir: str | None, as_json: bool) -> None:
    """Show an account's address, where others pay to."""
    directory = find_data_dir(data_dir)
    name = load_config(directory, {"account": account}).config.account
    shown = show_address(account_address(directory, name))
    if as_json:
        echo_json({"event": "account", "account": name, "address": shown})
    else:
        click.echo(shown)


@command.command("balance")
@click.argument("address", required=False)
@_account
@everywhere
def balance(address: str | None, account: str | None, data_dir: str | None, as_json: bool) -> None:
    """Show what an account of yours has, or ADDRESS."""
    params = {"address": _address(address) if address else b"", "account": account or ""}
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "wallet.balance", params, shown)
    if as_json:
        echo_json({"event": "balance"} | found)
        return
    click.echo(found["address"])
    _show_balances(found)


@command.command("send")
@click.argument("to")
@click.argument("amount")
@click.option("--coin", is_flag=True, help="Send the chain's own coin, which pays for gas, and not the token.")
@click.option("--units", is_flag=True, help="AMOUNT is a whole number of the smallest unit, 10**-18.")
@_account
@_passphrase
@everywhere
def send(
    to: str, amount: str, coin: bool, units: bool, account: str | None, passphrase_file: str | None,
    data_dir: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Pay AMOUNT tokens, such as 1.5, to the address TO, and wait until the payment can be relied on."""
    params = {"to": _address(to), "amount": _units(amount) if units else parse_amount(amount), "coin": coin}
    directory = find_data_dir(data_dir)
    flags = {"account": account, "passphrase_file": passphrase_file}
    with Shown(as_json) as shown:
        done = trio.run(run_operation, directory, flags, "wallet.send", params, shown)
    if as_json:
        echo_json({"event": "sent"} | done)
        return
    what = "of the chain's coin" if coin else done["left"]["symbol"]
    click.echo(f"Sent {show_amount(done['amount'])} {what} to {done['to']}")
    echo_field("in", f"block {done['block']}, transaction {done['transaction']}")
    echo_field("fee", f"{show_amount(done['fee'])} of the chain's coin, {done['gas']:,} gas")
    _show_balances(done["left"])


@command.command("faucet")
@click.argument("address", required=False)
@click.option("--rpc", metavar="URL", help="The devnet. Default: the network's chain.")
@_account
@everywhere
def faucet(address: str | None, rpc: str | None, account: str | None, data_dir: str | None, as_json: bool) -> None:
    """Ask a devnet for play money: coins for gas, and tokens where its faucet has some."""
    from ..chain.faucet import ask_faucet

    directory = find_data_dir(data_dir)
    config = load_config(directory, {"account": account}).config
    to = _address(address) if address else account_address(directory, config.account)
    sent = trio.run(ask_faucet, directory, config, rpc, to)
    if as_json:
        echo_json({"event": "faucet", "address": show_address(to), "transactions": sent})
        return
    click.echo(f"The devnet's faucet sends {show_address(to)} {'coins and tokens' if len(sent) > 1 else 'coins'}.")
    click.echo("\nNext: hallmark wallet balance" if len(sent) > 1 else "\nNext: hallmark chain deploy --rpc URL")


def _create(
    account: str | None,
    passphrase_file: str | None,
    data_dir: str | None,
    as_json: bool,
    read: Callable[[Config], NodeKey | None],
) -> None:
    from settle.accounts import create

    directory = find_data_dir(data_dir)
    config = load_config(directory, {"account": account, "passphrase_file": passphrase_file}).config
    place = account_file(directory, config.account)
    if place.exists():
        raise CommandError(Exit.CONFIG, f"{place} exists already", "Keep it: it may hold funds. Or: --account NAME")
    key = read(config)
    directory.create()
    key = create(place, get_passphrase(config, config.account, new=True), key)
    if as_json:
        echo_json({"event": "account", "account": config.account, "address": show_address(key.address)})
        return
    click.echo(f"Account {config.account!r}: {show_address(key.address)}")
    echo_field("kept in", str(place))
    click.echo("\nKeep a copy of that file and of the passphrase: nobody can restore either.")
    click.echo("\nNext: hallmark chain deploy, or on a network that has a chain: hallmark wallet faucet (of a devnet)")


def _read_key(file: Path, config: Config) -> NodeKey:
    from settle.accounts import unlock

    text = file.read_text(errors="replace")[:4096].strip()
    if not text.startswith("{"):
        try:
            secret = bytes.fromhex(text.removeprefix("0x"))
            if len(secret) != 32:
                raise ValueError("not 32 bytes")
            return NodeKey(secret)
        except (ValueError, RecordError):
            what = "A keystore (JSON), or 64 hexadecimal digits."
            raise CommandError(Exit.CONFIG, f"{file} holds no key and no keystore", what) from None
    return unlock(file, get_passphrase(config, config.account))


def _address(text: str) -> bytes:
    try:
        return parse_address(text)
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "Copy the whole address: hallmark wallet address") from error


def _units(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:40]) < 1 << 128:
        raise CommandError(Exit.USAGE, f"{text!r} is no amount", "With --units, a whole number.")
    return int(text)


def _show_balances(found: dict[str, Any]) -> None:
    echo_field("has", f"{show_amount(found['tokens'])} {found['symbol']} ({found['tokens']} units)")
    echo_field("and", f"{show_amount(found['coins'])} of the chain's coin, for gas")
