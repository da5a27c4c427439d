"""`hallmark policy`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ..datadir import find_data_dir
from ..policyfile import load_policy, show_policy
from .screen import echo_json, everywhere


@click.group("policy", short_help="what you are ready to believe")
def command() -> None:
    """Rules of your own, beside the network's: an answer that is less is never shown as proved."""


@command.command("show")
@click.option("--policy", type=click.Path(dir_okay=False, path_type=Path), help="Another file than the stored one.")
@everywhere
def show(policy: Path | None, data_dir: str | None, as_json: bool) -> None:
    """Show every rule and its value; the output is a policy file."""
    directory = find_data_dir(data_dir)
    rules = load_policy(directory, str(policy or ""))
    place = policy or directory.policy
    if as_json:
        echo_json({"event": "policy", "file": str(place), "stored": place.exists(), "rules": asdict(rules)})
        return
    click.echo(show_policy(rules), nl=False)
    if not place.exists():
        click.echo(f"\n# These are the defaults. To change some, write them into {place}", err=True)
