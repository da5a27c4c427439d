"""`hallmark model add`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import trio

from engine import PROFILES

from ..datadir import find_data_dir
from ..running import run_operation
from .progress import Shown
from .screen import echo_json, everywhere, size


@click.command("add")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="", help="Lower case, digits, dot, dash. Needed, but for an exported folder.")
@click.option("--version", default="1.0.0", show_default=True)
@click.option("--licence", default="", help="An SPDX expression, such as Apache-2.0. Needed likewise.")
@click.option("--task", default="", help="What it does, such as image-classification.")
@click.option("--tag", "tags", multiple=True, help="A word to be found by; may be repeated.")
@click.option("--description", default="")
@click.option(
    "--royalty-bps", type=click.IntRange(0, 10_000), default=0, help="The publisher's share, in 1/100 of a percent."
)
@click.option(
    "--interface",
    type=click.Choice(["auto", "tensors", "text", "generate"]),
    default="auto",
    show_default=True,
    help="How it is asked: its graph's tensors; texts, by its tokenizer.json; a prompt, answered token by token.",
)
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="fp32",
    show_default=True,
    help="How its answers are computed and compared.",
)
@click.option("--graph", metavar="PATH", help="The ONNX graph in a folder that has several and no model.onnx.")
@click.option(
    "--example",
    "examples",
    multiple=True,
    metavar="NAME=VALUE|@FILE",
    help="An input that it runs with, as for infer. For a model that fails on zeros and ones; it travels with it.",
)
@everywhere
def add(path: Path, examples: tuple[str, ...], data_dir: str | None, as_json: bool, **about: Any) -> None:
    """Publish an ONNX model: inspected in a sandboxed worker, stored, its manifest signed.

    PATH is an ONNX file (the files that it keeps weights in are taken along), or a folder with all that shall travel
    with the model: weights, tokenizer, README. A folder that `hallmark model export` wrote comes back as the same
    model, with its publisher's signature.
    """
    example = {}
    if examples:
        from ..inputs import read_input

        example = {name: list(value) for name, value in map(read_input, examples)}
    with Shown(as_json) as shown:
        params = about | {"path": str(path.absolute()), "tags": list(about["tags"]), "example": example}
        model = trio.run(run_operation, find_data_dir(data_dir), {}, "model.add", params, shown)
    if as_json:
        echo_json({"event": "model"} | model)
        return
    count = len(model["files"])
    files = f" in {count} files" if count > 1 else ""
    done = (
        f"Added {model['name']}@{model['version']}"
        if model["new"]
        else f"{model['name']}@{model['version']} is here already"
    )
    click.echo(f"{done}, {size(model['size'])}{files}")
    click.echo(f"  CID  {model['cid']}")
    click.echo(f"\n{_next(model['roles'])}")


def _next(roles: list[str]) -> str:
    if "provider" in roles:
        return "Next: hallmark ps    (this peer offers it once it has loaded it, and others can pull it now)"
    start = "hallmark serve --role hub --role provider"
    if roles:
        return f"Others can pull it now. Next, so that they can ask it here too: {start}"
    return f"Next: {start}    (then others can pull it and ask it)"
