"""`hallmark demo`"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

import click
import trio

from ..errors import CommandError, Exit
from ..interrupt import interruptible
from .screen import console, echo_json


@click.command("demo", short_help="the whole path on this machine")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where everything is made. Default: a new temporary directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def command(files: tuple[Path, ...], keep: Path | None, as_json: bool) -> None:
    """Start seven peers, publish a model, classify FILES (default: some of this repository's own) with proof, catch a
    dishonest provider, verify a receipt offline. Everything stays on this machine, and every process ends with it."""
    from ..demo.story import ROOT, SHOWN, tell

    chosen = [f.absolute() for f in files] or [ROOT / name for name in SHOWN if (ROOT / name).exists()]
    place = keep.absolute() if keep else Path(tempfile.mkdtemp(prefix="hallmark-demo-"))
    if keep and keep.exists() and any(keep.iterdir()):
        raise CommandError(Exit.USAGE, f"{keep} is not empty", "Choose a new directory: --keep DIR")
    place.mkdir(parents=True, exist_ok=True)
    logging.getLogger("hallmark.fraud").setLevel(logging.ERROR)  # it is part of the story, and told there
    screen = console()
    screen.quiet = as_json
    started = time.monotonic()
    seen = trio.run(interruptible, lambda: tell(place, chosen, screen))
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        echo_json({"event": "demo", "place": str(place), "seconds": seconds} | seen)
    else:
        screen.print(f"\nDone in {seconds} s; every process has ended. Receipts and data: {place}", soft_wrap=True)
