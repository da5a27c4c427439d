"""How a node stands on its network's chain, as people read it when it starts and from `hallmark doctor`."""

from __future__ import annotations

from typing import Any

import click

from ..chain.amounts import show_amount
from .screen import echo_field


def show_money(found: dict[str, Any]) -> None:
    """The account, what it has, what the node counts as, and what is missing with the command that mends it."""
    click.echo(f"Money: network {found['network']!r}, chain {found['chain_id']}")
    for label, text in money_lines(found):
        echo_field(label, text)
    for one in found["lacks"]:
        echo_field("missing", one["what"])
        click.echo(f"            {one['next']}")


def money_lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Labels and what they say, without what is missing."""
    lines = []
    if address := found["address"]:
        lock = "unlocked" if found["unlocked"] else "locked: nothing is paid from here"
        lines.append(("account", f"{found['account']} {address}, {lock}"))
    else:
        lines.append(("account", f"none named {found['account']!r} yet"))
    if "tokens" in found:
        coins = f"{show_amount(found['coins'])} of the chain's coin for gas"
        lines.append(("has", f"{show_amount(found['tokens'])} {found['symbol']}, {coins}"))
    if "active" in found:
        roles = ", ".join(found["active"])
        counts = f"{show_amount(found['own'])}, counts as {roles}" if roles else "none that counts"
        lines.append(("bond", counts))
    if found["unclaimed"]:
        lines.append(("unclaimed", f"{show_amount(found['unclaimed'])} in channels: hallmark channel claim"))
    if "problem" in found:
        lines.append(("chain", f"cannot be asked now ({found['problem']}): answers go on within the risk limit"))
    return lines
