"""`hallmark zk`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import trio

from ..datadir import find_data_dir
from ..errors import Exit
from ..running import run_operation
from .progress import Shown
from .screen import echo_json, everywhere, size


@click.group("zk", short_help="circuits, for answers with a proof")
def command() -> None:
    """Circuits: what makes answers of a model provable. A model's publisher registers one; providers prove with it."""


@command.command("setup")
@click.argument("model")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE|@FILE",
    help="A typical input: it fixes the shapes, and the range of the numbers. Default: the model's example.",
)
@click.option("--commit", is_flag=True, help="Commit to the weights instead of putting them into the key.")
@click.option(
    "--srs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A ceremony's reference string. Without it one is made here, which is called dev and refused by default.",
)
@everywhere
def setup(
    model: str, inputs: tuple[str, ...], srs: Path | None, data_dir: str | None, as_json: bool, commit: bool
) -> None:
    """Register a circuit for MODEL, which you published: made, proved once, checked, and signed."""
    given: dict[str, Any] = {}
    if inputs:
        from ..inputs import read_input

        given = {name: list(value) for name, value in map(read_input, inputs)}
    params = {"model": model, "inputs": given, "commit": commit, "srs": str(srs.absolute()) if srs else ""}
    with Shown(as_json) as shown:
        circuit = trio.run(run_operation, find_data_dir(data_dir), {}, "zk.setup", params, shown)
    if as_json:
        echo_json({"event": "circuit"} | circuit)
        return
    _show(circuit, "measured here")
    if circuit["srs"] == "dev":
        click.echo(
            "\nIts SRS is dev: whoever made it could forge proofs. Clients refuse them unless their\n"
            "policy.toml has dev_srs = true under [zk]. Register with --srs FILE for proofs that count."
        )
    click.echo(f"\nNext, with a provider that runs: hallmark infer {model} --input … --tier zk")


@command.command("check")
@click.argument("model")
@everywhere
def check(model: str, data_dir: str | None, as_json: bool) -> int:
    """Make the key of each circuit of MODEL again, from the model in the store, and compare it with what its publisher
    registered. Exit code 0 only when all are the same."""
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "zk.check", {"model": model}, shown)
    for circuit in found["circuits"]:
        if as_json:
            echo_json({"event": "circuit"} | circuit)
            continue
        _show(circuit, "its publisher measured")
        colour = "green" if circuit["ok"] else "red"
        click.secho("  is this model's" if circuit["ok"] else f"  NOT this model's: {circuit['problem']}", fg=colour)
    return int(Exit.OK if all(c["ok"] for c in found["circuits"]) else Exit.NOT_PROVED)


def _show(circuit: dict[str, Any], measured: str) -> None:
    click.echo(f"Circuit {circuit['circuit']}")
    click.echo(f"  of         {circuit['model']}")
    click.echo(f"  made with  {circuit['system']}, {circuit['rows']} rows, weights {circuit['weights']}")
    click.echo(f"  SRS        {circuit['srs']}")
    click.echo(f"  a proof    {size(circuit['proof_bytes'])} in {circuit['prove_us'] / 1e6:.1f} s, as {measured}")
    click.echo(f"  outputs    within {circuit['tolerance']:.1e} of the model's own, relative to the largest")
