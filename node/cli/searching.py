"""`hallmark model search | versions`"""

from __future__ import annotations

from typing import Any

import click
import trio

from ..bounds import MAX_SEARCHED
from ..chain.amounts import show_amount
from ..datadir import find_data_dir
from ..running import run_operation
from .progress import Shown
from .screen import console, day, echo_json, everywhere, minute, named, publisher, reference, show_table, size, table


@click.command("search")
@click.argument("text", default="")
@click.option("--task", default="", help="Exactly this task.")
@click.option("--tag", default="", help="Exactly this tag.")
@click.option("--licence", default="", help="Exactly this licence, such as Apache-2.0.")
@click.option("--publisher", default="", help="A petname or an address.")
@click.option("--limit", type=click.IntRange(1, MAX_SEARCHED), default=20, show_default=True)
@click.option("--cids", is_flag=True, help="Show each model's CID too.")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to ask; may be repeated.")
@everywhere
def search(cids: bool, bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool, **params: Any) -> None:
    """Search models by words of their names, tasks, tags and descriptions, newest word first.

    Without TEXT every model fits. A few hubs are asked what they know; without them it is what this peer knew before.
    """
    with Shown(as_json) as shown:
        flags = {"bootstraps": bootstraps}
        found = trio.run(run_operation, find_data_dir(data_dir), flags, "model.search", params, shown)
    if as_json:
        echo_json({"event": "models"} | found)
        return
    screen = console()
    wide = max((len(_name(m)) for m in found["models"]), default=0)
    for m in found["models"]:
        screen.print(_headline(m, wide))
        screen.print(f"  {_detail(m)}", style="dim")
        if cids:
            screen.print(f"  {m['cid']}", style="dim")
    click.echo(_knowledge(found, params["limit"]))


def _name(m: dict[str, Any]) -> str:
    return named(m["called"], m["name"], m["version"])


def _headline(m: dict[str, Any], wide: int) -> str:
    about = "  ".join(filter(None, [m["licence"], m["task"], " ".join(f"#{tag}" for tag in m["tags"])]))
    return f"{_name(m):{wide}}  {size(m['size']):>10}  {about}"


def _detail(m: dict[str, Any]) -> str:
    """Who offers and holds it, and how much it was used."""
    if m["providers"]:
        tiers = ", ".join(m["tiers"])
        offers = f"{_count(m['providers'], 'provider')} from price {show_amount(m['cheapest'])} ({tiers})"
        offers += f", {m['disputed']} of them disputed" if m["disputed"] else ""
    else:
        offers = "no provider"
    held = "here" if m["here"] else ""
    hubs = f"at {_count(m['hubs'], 'hub')}" if m["hubs"] else ""
    parts = [offers, " and ".join(filter(None, [held, hubs])), _count(m["pulls"], "pull"), _count(m["calls"], "call")]
    if m["state"] == "expired":
        parts.append(f"publisher silent since {day(m['until_ms'])}")
    return " · ".join(filter(None, parts))


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def _knowledge(found: dict[str, Any], limit: int) -> str:
    """What these results rest on, and what to do next."""
    count, hubs = len(found["models"]), found["hubs"]
    if hubs:
        rest = f"as this peer and {_count(hubs, 'hub')} know at {minute(found['as_of_ms'])}"
    elif count:
        rest = f"as this peer knew; no hub was reached.\nThe newest word on them is of {minute(found['as_of_ms'])}"
    else:
        rest = "and no hub was reached. Join one: --bootstrap ADDRESS"
    if not count:
        return f"No model fits, {rest}" + ("\n\nNext: fewer words, or hallmark model search" if hubs else "")
    more = f"\nMore: --limit {min(2 * limit, MAX_SEARCHED)}" if found["more"] and limit < MAX_SEARCHED else ""
    return f"\n{_count(count, 'model')}, {rest}.{more}\n\nNext: hallmark model show {reference(found['models'][0])}"


@click.command("versions")
@click.argument("name")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to ask; may be repeated.")
@everywhere
def versions(name: str, bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """List all versions of NAME (name, or publisher/name), newest first, withdrawn ones too."""
    with Shown(as_json) as shown:
        flags = {"bootstraps": bootstraps}
        found = trio.run(run_operation, find_data_dir(data_dir), flags, "model.versions", {"name": name}, shown)
    if as_json:
        echo_json({"event": "versions"} | found)
        return
    click.echo(f"{found['name']}, published by {publisher(found)}")
    end = "holds until" if found["current"] else "no longer current: its publisher has been silent since"
    click.echo(f"signed {minute(found['issued_ms'])}, {end} {minute(found['until_ms'])}\n")
    rows = table("version", "made", "state", "CID")
    for v in found["versions"]:
        made = day(v["created_ms"]) if v["created_ms"] else "–"
        rows.add_row(v["version"], made, _state(v), v["cid"])
        if v["previous"]:
            rows.add_row("", "", "  follows", v["previous"])
    show_table(rows)


def _state(version: dict[str, Any]) -> str:
    if version["withdrawn"] is None:
        return "stands" + (", here" if version["here"] else "")
    return "withdrawn" + (f": {version['withdrawn']}" if version["withdrawn"] else "")
