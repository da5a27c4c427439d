"""How a peer can be reached, as people read it when it starts and from `hallmark doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from .screen import echo_field


def show_reach(found: Mapping[str, Any]) -> None:
    """The finding, by whom, and numbered steps where something can be done."""
    click.echo(f"Reachable: {found['line']}")
    for label, text in reach_lines(found):
        echo_field(label, text)


def rendezvous_line(met: Mapping[str, Any] | None) -> str:
    """What came of looking for peers in a public network."""
    if met is None:
        return "not asked yet"
    if met["failure"]:
        return str(met["failure"])
    told = (
        f"{met['told']} know our addresses" if met["told"] else "none was told where we are, for nobody reaches us yet"
    )
    return f"{met['answered']} peers of it answered, {met['found']} of this network found, {met['met']} new, {told}"


def listen_line(found: Mapping[str, Any]) -> str:
    """Where it listens, and why there, where that may surprise."""
    at = ", ".join(found["listen"]) or "nowhere"
    return f"{at} ({found['listen_why']})" if found["listen_why"] else at


def reach_lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What stands below the finding, with labels."""
    lines = [("listens", listen_line(found))]
    lines += [("checked", found["checked"])] if found["checked"] else []
    for checker in found["checkers"]:
        said = f"{checker['detail']}" if checker["reached"] else f"not reached: {checker['detail']}"
        lines.append(("", f"{checker['peer_id']} in {checker['range']}: {said}"))
    if found["reason"]:
        lines.append(("why", found["reason"]))
    if found.get("rendezvous_wanted"):
        lines.append(("amino", rendezvous_line(found["rendezvous"])))
    if found["idle_relay"]:
        lines.append(("as relay", found["idle_relay"]))
    lines += [("relay" if i == 0 else "", address) for i, address in enumerate(found["relays"])]
    lines += [("to mend" if i == 1 else "", f"{i}. {step}") for i, step in enumerate(found["steps"], 1)]
    return lines
