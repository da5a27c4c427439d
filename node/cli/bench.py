"""`hallmark bench`"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import trio

from wire.tier import TIERS, Tier

from ..benching import bounds
from ..benching.suite import SUITES
from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from ..running import run_operation
from .amount import AmountParam
from .screen import console, echo_json, everywhere
from .tier import TierParam

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def _duration(context: click.Context, parameter: click.Parameter, text: str) -> float:  # noqa: ARG001
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)", text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0.1 <= seconds <= bounds.MAX_DURATION:
        raise click.BadParameter(f"{text!r} is no time from 100ms to 10m, such as 500ms, 20s or 2m")
    return seconds


def _clients(context: click.Context, parameter: click.Parameter, text: str) -> list[int]:  # noqa: ARG001
    parts = [part.strip() for part in text.split(",")]
    numbers = [int(part) if part.isdecimal() and len(part) < 9 else 0 for part in parts]
    if len(numbers) > bounds.MAX_STEPS or not all(1 <= n <= bounds.MAX_CLIENTS for n in numbers):
        most = f"{bounds.MAX_STEPS} numbers at most, each 1 to {bounds.MAX_CLIENTS}"
        raise click.BadParameter(f"{text!r}: numbers of clients with commas, such as 1,8,64; {most}")
    return numbers


def _dims(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, int]:  # noqa: ARG001
    dims = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        if not name or not value.isdecimal() or len(value) > 12:
            raise click.BadParameter(f"{text!r} is not NAME=NUMBER")
        dims[name] = int(value)
    return dims


@click.command("bench", short_help="measure peers, or this machine")
@click.option("--model", default="", help="A CID or a name.")
@click.option("--suite", type=click.Choice(list(SUITES)), help="Instead of one model: these.")
@click.option("--peer", "peers", multiple=True, metavar="ID", help="Whom to measure; may be repeated.")
@click.option("--all", "every", is_flag=True, help="Measure every peer that offers it. Default: the best offer.")
@click.option("--local", "direct", is_flag=True, help="The direct loop of this machine: no network, no node.")
@click.option("--concurrency", "clients", default="1,8,64", show_default=True, callback=_clients, help="Clients.")
@click.option("--duration", default="20s", show_default=True, callback=_duration, help="Of each step: 500ms, 20s, 2m.")
@click.option(
    "--tier", type=TierParam(), default="signed", show_default=True,
    help=f"How each answer is to be proved: {', '.join(TIERS)}; quorum:8 for a committee of eight.",
)  # fmt: skip
@click.option(
    "--max-price", type=AmountParam(), default=0, show_default=True,
    help="Most tokens to pay for a request, such as 0.01.",
)  # fmt: skip
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=30.0, show_default=True, help="Seconds a request.")
@click.option("--dim", "dims", multiple=True, metavar="NAME=N", callback=_dims, help="The size of a free dim.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Where to write an HTML report.")
@click.option("--records", type=click.Path(file_okay=False, path_type=Path), help="Where to write signed benchmarks.")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to start from.")
@everywhere
def command(
    model: str, suite: str | None, peers: tuple[str, ...], every: bool, report: Path | None, records: Path | None,
    bootstraps: tuple[str, ...], tier: tuple[Tier, int], data_dir: str | None, as_json: bool, **params: Any,
) -> int:  # fmt: skip
    """Measure how much peers answer, how fast and whether rightly; or what this machine gives without any network.

    Each step is a closed loop: so many clients, each with one request in flight. Every answer is proved and compared
    before it counts. With --local alone nobody is asked; with --local and --peer or --all both are measured, and the
    peers' share of the direct loop is shown. The exit code is 8 when an answer was wrong, 7 when none could be counted.
    """
    from ..benching.page import write_page
    from ..benching.tables import Watched, show

    if bool(model) == bool(suite):
        raise click.UsageError("say what to measure: --model MODEL or --suite standard")
    if peers and every:
        raise click.UsageError("--peer and --all exclude each other")
    params |= {"model": model, "suite": suite or "", "peers": list(peers), "all": every}
    params["tier"], params["committee"] = tier
    operation = "bench.here" if params["direct"] and not (peers or every) else "bench"
    with Watched(as_json) as watched:
        flags = {"bootstraps": bootstraps}
        result = trio.run(run_operation, find_data_dir(data_dir), flags, operation, params, watched)
    steps = [step for row in result["models"] for step in row.get("steps", ())]
    if records:
        _write_records(records, steps)
    if report:
        write_page(report, result, params)
    for step in steps:
        step.pop("benchmark")
    if as_json:
        echo_json({"event": "summary"} | result)
    else:
        show(result, console())
        for path in filter(None, (report, records)):
            click.echo(f"\nwritten    {path}")
    return int(_exit(result["models"], steps))


def _exit(models: list[dict[str, Any]], steps: list[dict[str, Any]]) -> Exit:
    if any(step["wrong"] for step in steps):
        return Exit.NOT_PROVED
    if all("left_out" in row for row in models):
        return Exit.NOT_FOUND
    return Exit.REMOTE if steps and not any(step["requests"] for step in steps) else Exit.OK


def _write_records(folder: Path, steps: list[dict[str, Any]]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for step in steps:
            if step["benchmark"] is not None:
                name = f"{step['name'].partition('@')[0]}-{step['peer'][-8:]}-{step['clients']}.benchmark"
                (folder / name).write_bytes(step["benchmark"])
    except OSError as error:
        raise CommandError(Exit.STORAGE, f"{error.filename} cannot be written: {error.strerror}") from error
