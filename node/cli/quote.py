"""`hallmark quote`"""

from __future__ import annotations

from typing import Any

import click
import trio

from ..chain.amounts import show_amount, typed_amount
from ..datadir import find_data_dir
from ..errors import Exit
from ..running import run_operation
from .progress import Shown
from .screen import console, echo_json, everywhere, show_table, table
from .tier import TierParam


@click.command("quote", short_help="what an answer costs now")
@click.argument("model")
@click.option("--tier", type=TierParam(), default=None, help="Only this tier. Default: all that are offered.")
@click.option(
    "--tokens", type=click.IntRange(1), default=256, show_default=True, help="Of a generator: how many at most."
)
@click.option(
    "--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to start from; may be repeated."
)
@everywhere
def command(
    model: str, tier: tuple[str, int] | None, tokens: int, bootstraps: tuple[str, ...], data_dir: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Say what an answer of MODEL (a CID or a name) costs now: per tier, per provider, and for how long.

    Nothing is spent. AT MOST is what --max-price has to allow. Amounts are in tokens.
    """
    params = {"model": model, "tier": tier[0] if tier else "", "tokens": tokens}
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {"bootstraps": bootstraps}, "quote", params, shown)
    if as_json:
        echo_json({"event": "quote"} | found)
        return int(Exit.OK)
    if not found["quotes"]:
        click.echo("Nobody offers it in that tier now.")
        return int(Exit.NOT_FOUND)
    _show(found)
    return int(Exit.OK)


def _show(found: dict[str, Any]) -> None:
    generates, paid = found["interface"] == "generate", found["paid"]
    columns = ["tier", ">price"] + ([">per 1,000 tokens"] if generates else []) + [">at most", ">holds"]
    rows = table(*columns, *([">in its channel"] if paid else []), "provider")
    for row in found["quotes"]:
        cells = [row["tier"], show_amount(row["price"])] + ([show_amount(row["per_1k_tokens"])] if generates else [])
        cells += [show_amount(row["most"]), f"{row['holds_ms'] / 1000:.0f} s"]
        if paid:
            cells.append(show_amount(row["left"]) if row["channel"] else "–")
        rows.add_row(*cells, row["provider"])
    show_table(rows)
    cheapest = min(found["quotes"], key=lambda row: row["most"])
    if generates:
        console().print(f"\nAt most: for {found['tokens']} tokens.")
    if not paid:
        console().print("\nThis network has no chain: prices are recorded, and nothing is paid.")
    elif cheapest["most"] > cheapest["left"]:
        how, deposit = "topup" if cheapest["channel"] else "open", typed_amount(100 * cheapest["most"])
        console().print(
            f"\nNext, for 100 such answers: hallmark channel {how} {cheapest['provider']} --deposit {deposit}"
        )
    elif cheapest["most"]:
        console().print(
            f"\nNext: hallmark infer … --tier {cheapest['tier']} --max-price {typed_amount(cheapest['most'])}"
        )
