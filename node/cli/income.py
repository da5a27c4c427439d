"""`hallmark income`"""

from __future__ import annotations

import re
import time
from typing import Any

import click

from ..chain.amounts import show_amount
from ..chain.wallets import account_address
from ..clock import now_ms
from ..config import load_config
from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from .screen import echo_field, everywhere, show_table, table
from .stake import account, run_chained

_SPAN = re.compile(r"(\d{1,6})([hdw])")
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


@click.command("income", short_help="what you earned and spent")
@click.option("--since", default="", metavar="TIME", help="30d, 12h, 2w, or a day such as 2026-11-01. Default: ever.")
@click.option("--by", type=click.Choice(["source", "model", "epoch"]), default="source", show_default=True)
@click.option("--network", "whole", is_flag=True, help="The fees of the whole network, and what of them would last.")
@account
@everywhere
def command(since: str, by: str, whole: bool, account: str | None, data_dir: str | None, as_json: bool) -> None:
    """Show what you earned and spent, from the chain's own events: fees apart from incentives, and what you paid to
    yourself apart from both. With a [costs] table in config.toml, also from where on your node pays."""
    begin = _since(since)
    if whole:
        found = run_chained(data_dir, as_json, "income.network", {"since_s": begin})
        if not as_json:
            _show_network(found)
        return
    directory = find_data_dir(data_dir)
    owner = account_address(directory, load_config(directory, {"account": account}).config.account)
    found = run_chained(data_dir, as_json, "income", {"since_s": begin, "owner": owner}, account=account)
    if not as_json:
        _show(found, by)


def _show(found: dict[str, Any], by: str) -> None:
    {"source": _by_source, "model": _by_model, "epoch": _by_epoch}[by](found)
    click.echo()
    echo_field("earned", f"{show_amount(found['earned'])} in fees, {show_amount(found['incentives'])} in incentives")
    bonded = found["earned"] - found["paid_out"]
    echo_field("", f"{show_amount(found['paid_out'])} were paid out, {show_amount(bonded)} were added to stakes")
    echo_field("spent", f"{show_amount(found['spent'])} on answers; {show_amount(found['gas'])} coins on gas")
    if found["self_dealing"]:
        echo_field("to self", f"{show_amount(found['self_dealing'])} of what was spent went to nodes of your own")
    if found["slashed"]:
        echo_field("slashed", show_amount(found["slashed"]))
    if costs := found["costs"]:
        _show_costs(costs)
    else:
        echo_field("costs", "none are set: [costs] in config.toml (docs/money.md, Income)")
    click.echo(f"\nAs of block {found['block']}, in epoch {found['epoch']}.")


def _by_source(found: dict[str, Any]) -> None:
    rows = table("earned as", ">paid out", ">added to stakes")
    for source, amounts in found["by_source"].items():
        rows.add_row(source, show_amount(amounts["paid"]), show_amount(amounts["bonded"]))
    if found["by_source"]:
        show_table(rows)
    else:
        click.echo("Nothing was earned.")


def _by_model(found: dict[str, Any]) -> None:
    rows = table("model", ">receipts", ">charged", ">paid")
    for one in found["by_model"]:
        rows.add_row(one["model"], str(one["receipts"]), show_amount(one["charged"]), show_amount(one["paid"]))
    if found["by_model"]:
        show_table(rows)
        click.echo("Prices of the receipts that are kept here, before they are divided.")
    else:
        click.echo("No receipts are kept here.")


def _by_epoch(found: dict[str, Any]) -> None:
    rows = table(">epoch", ">earned", ">spent", "as")
    for one in found["by_epoch"]:
        sources = ", ".join(f"{name} {show_amount(amount)}" for name, amount in one["sources"].items())
        rows.add_row(str(one["epoch"]), show_amount(one["earned"]), show_amount(one["spent"]), sources)
    if found["by_epoch"]:
        show_table(rows)
    else:
        click.echo("Nothing was earned or spent.")


def _show_costs(costs: dict[str, Any]) -> None:
    take = f"{costs['take']:.1%} of a price go to others at most"
    echo_field("costs", f"{_rounded(costs['hourly'])} an hour; {take}")
    if costs["answers_an_hour"] is None:
        echo_field("pays", "never, as long as answers cost nothing")
        return
    use = f", {costs['utilisation']:.1%} of its capacity" if costs["utilisation"] is not None else ""
    echo_field(
        "pays", f"from {costs['answers_an_hour']:,.1f} answers an hour on{use}, at {_rounded(costs['price'])} each"
    )
    if costs["break_even_price"] is not None:
        echo_field("", f"always busy, from a price of {_rounded(costs['break_even_price'])} on")


def _rounded(units: int) -> str:
    """Six digits are enough for a cost."""
    return f"{units / 10**18:.6g}"


def _show_network(found: dict[str, Any]) -> None:
    rows = table(">epoch", ">fees", ">to their own payers")
    for one in found["by_epoch"]:
        rows.add_row(str(one["epoch"]), show_amount(one["fees"]), show_amount(one["self_dealing"]))
    if found["by_epoch"]:
        show_table(rows)
        click.echo()
    echo_field("fees", f"{show_amount(found['fees'])}, {show_amount(found['self_dealing'])} of them self-dealing")
    echo_field("helped", f"{show_amount(found['subsidised'])} subsidised, {show_amount(found['emitted'])} emitted")
    echo_field("external", show_amount(found["external"]))
    echo_field("durable", f"{found['durable']:.1%} of all fees and emissions would be there without help")
    click.echo(f"\nAs of block {found['block']}, in epoch {found['epoch']}.")


def _since(text: str) -> int:
    """Seconds UTC."""
    if not text:
        return 0
    if span := _SPAN.fullmatch(text):
        return max(0, now_ms() // 1000 - int(span[1]) * _SECONDS[span[2]])
    try:
        return int(time.mktime(time.strptime(text, "%Y-%m-%d")))
    except (ValueError, OverflowError):
        raise CommandError(Exit.USAGE, f"{text!r} is no time", "Such as 30d, 12h, 2w, or 2026-11-01.") from None
