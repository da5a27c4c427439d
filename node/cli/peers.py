"""`hallmark peers`, and `peers refused | ban | forgive`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import trio

from ..auditing.words import in_words
from ..datadir import find_data_dir
from ..running import run_operation
from .progress import Shown
from .screen import counted, duration, echo_field, echo_json, everywhere

DAY = 24 * 3600


@click.group("peers", invoke_without_command=True, short_help="show who is connected, and how")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to ask; may be repeated.")
@everywhere
@click.pass_context
def command(ctx: click.Context, bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """Show the peers that are connected or known: directly or over a relay, how far, how well they behave, what for."""
    if ctx.invoked_subcommand is not None:
        return
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {"bootstraps": bootstraps}, "peers", {}, shown)
    if as_json:
        echo_json({"event": "peers"} | found)
        return
    if not found["peers"]:
        click.echo("No other peer is known. Start from one: hallmark peers --bootstrap ADDRESS")
    if found["newer"]:
        from ..releases import in_words as in_words_of_releases  # seldom needed, and it takes a while to load

        click.echo(f"{in_words_of_releases(found['newer'])}.\n")
    for p in found["peers"]:
        click.echo(f"{p['peer_id']}  {', '.join([_how(p), *p['roles']])}")
        echo_field("from" if p["outgoing"] is False else "at", p["address"])  # nobody can dial where one came from
        if p["connected"]:
            echo_field("link", _link(p))
        if record := in_words(p["record"]):
            echo_field("answers", record)


def _how(p: Mapping[str, Any]) -> str:
    return p["way"] if p["connected"] else "known"


def _link(p: Mapping[str, Any]) -> str:
    rtt = "not measured yet" if p["rtt_ms"] is None else f"{p['rtt_ms']:.1f} ms away"
    by = "dialled by us" if p["outgoing"] else "dialled us"
    over = f", over the relay {p['via']}" if p["via"] else ""
    return f"{rtt}, {by}{over}, score {p['score']:+.1f}"


@command.command("refused")
@everywhere
def refused(data_dir: str | None, as_json: bool) -> None:
    """Show who misbehaved: its score, what it did last, and for how long it is refused."""
    found = trio.run(run_operation, find_data_dir(data_dir), {}, "peers.standing", {}, lambda _: None)
    if as_json:
        echo_json({"event": "standing"} | found)
        return
    if not found["peers"]:
        click.echo("Nobody has misbehaved.")
        return
    for p in found["peers"]:
        left = f"refused for {duration(p['refused_s'])}" if p["refused_s"] else "not refused now"
        click.echo(f"{p['peer_id']}  {left}")
        times = f", refused {counted(p['times'], 'time')} so far" if p["times"] else ""
        echo_field("why", f"{p['rule'] or 'of no name'}; score {p['score']:+.1f}{times}")


@command.command("ban")
@click.argument("peer")
@click.option(
    "--for", "seconds", type=click.IntRange(1, 365 * DAY), default=DAY, metavar="SECONDS", help="Default: a day."
)
@everywhere
def ban(peer: str, seconds: int, data_dir: str | None, as_json: bool) -> None:
    """Refuse a peer for a time: its connections end, and nothing of it is taken."""
    asked = {"peer": peer, "seconds": seconds}
    done = trio.run(run_operation, find_data_dir(data_dir), {}, "peers.ban", asked, lambda _: None)
    if as_json:
        echo_json({"event": "banned"} | done)
        return
    click.echo(f"Refused for {duration(seconds)}: {peer}\nTake it back: hallmark peers forgive {peer}")


@command.command("forgive")
@click.argument("peer")
@everywhere
def forgive(peer: str, data_dir: str | None, as_json: bool) -> None:
    """Forget what is held against a peer, and take it in again."""
    done = trio.run(run_operation, find_data_dir(data_dir), {}, "peers.forgive", {"peer": peer}, lambda _: None)
    if as_json:
        echo_json({"event": "forgiven"} | done)
        return
    click.echo(f"Forgiven: {peer}")
