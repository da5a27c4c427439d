"""`hallmark infer`"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import trio

from wire.tier import TIERS

from ..chain.amounts import show_amount
from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from ..running import run_operation
from .amount import AmountParam
from .progress import Shown
from .screen import console, echo_json, everywhere, printable, table
from .tier import TierParam

PREVIEW = 8  # values of an output shown to a person


@click.command("infer", short_help="ask a model")
@click.argument("model")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE|@FILE",
    help="JSON, a plain text, or a file: .npy, .json, or raw bytes.",
)
@click.option("--prompt", help="What a generator shall go on; its other inputs have usual values.")
@click.option("--text", "texts", multiple=True, help="For a model that reads texts; may be repeated.")
@click.option(
    "--tier",
    type=TierParam(),
    default="signed",
    show_default=True,
    help=f"How the answer is proved: {', '.join(TIERS)}; quorum:8 for a committee of eight.",
)
@click.option(
    "--max-price",
    type=AmountParam(),
    default=0,
    show_default=True,
    help="Most tokens to pay, such as 0.01: hallmark quote MODEL.",
)
@click.option(
    "--policy", default="", type=click.Path(dir_okay=False), help="What you are ready to believe. Default: policy.toml."
)
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=60.0, show_default=True, help="Seconds.")
@click.option("--receipt", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the receipt.")
@click.option(
    "--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to start from; may be repeated."
)
@everywhere
def command(
    model: str, inputs: tuple[str, ...], prompt: str | None, texts: tuple[str, ...], receipt: Path | None,
    bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool, **terms: Any,
) -> int:  # fmt: skip
    """Ask MODEL (a CID or a name) and check the answer before it is shown.

    An answer that is not proved is not shown, and the exit code is 8. But what a generator says is shown on a terminal
    as it comes, dim, until it is proved; with --json in events "tokens".

    An answer of tier sampled is shown at once. Where the lot draws it, the running node has it checked; without one
    this command stays for a few seconds to say how the check ended (with --json in event "checked").
    """
    from ..inputs import read_input

    given = {name: list(value) for name, value in map(read_input, inputs)}
    if prompt is not None:
        given["prompt"] = ["raw", prompt.encode(errors="surrogateescape")]
    if texts:
        given["text"] = ["json", json.dumps(texts).encode()]
    if not given:
        raise CommandError(Exit.USAGE, "nothing is asked", "Say --input NAME=VALUE, --prompt TEXT or --text TEXT.")
    terms["tier"], terms["committee"] = terms["tier"]
    policy = terms["policy"]
    if policy:
        terms["policy"] = str(Path(policy).absolute())  # a running node has another working directory
    params = {"model": model, "inputs": given} | terms
    answered = False

    def hear(event: dict[str, Any]) -> None:
        nonlocal answered
        if event["event"] != "answered":
            shown(event)
            return
        answered = True  # a sampled answer: what follows is its check, for which nobody waits
        if not as_json:
            shown({"event": "answered"})
        _show(event["answer"], receipt, as_json, policy)

    with Shown(as_json) as shown:
        answer = trio.run(run_operation, find_data_dir(data_dir), {"bootstraps": bootstraps}, "infer", params, hear)
    if answered:
        return _show_check(answer, receipt, as_json)
    _show(answer, receipt, as_json, policy)
    return int(Exit.OK)


def _show_check(answer: dict[str, Any], receipt: Path | None, as_json: bool) -> int:
    """How the check of an answer ended that was shown already."""
    check = answer["check"]
    refused = check["state"] == "refused"
    if receipt:
        _write(receipt, answer["receipt"])
    if as_json:
        echo_json({"event": "checked", "receipt_digest": answer["receipt_digest"]} | check)
    else:
        click.secho(f"\ncheck      {check['says']}", fg="red" if refused else None)
        if refused:
            click.echo("           Do not use this answer.\n\nNext: hallmark fraud ls")
    return int(Exit.NOT_PROVED if refused else Exit.OK)


def _show(answer: dict[str, Any], receipt: Path | None, as_json: bool, policy: str) -> None:
    if receipt:
        _write(receipt, answer["receipt"])
    if as_json:
        shown_answer = {k: v for k, v in answer.items() if k != "receipt"}
        echo_json({"event": "answer"} | shown_answer | ({"receipt": str(receipt)} if receipt else {}))
        return
    if answer["interface"] == "generate":
        _show_generated(answer)
    else:
        _show_tensors(answer)
    _show_proof(answer, receipt, policy)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandError(Exit.STORAGE, f"the receipt cannot be written to {path}: {error.strerror}") from error


def _show_generated(answer: dict[str, Any]) -> None:
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    console().print(printable(outputs["text"][0]) if "text" in outputs else " ".join(map(str, outputs["tokens"])))
    ended = {"end": "the model ended it", "stop": "a stop text came", "length": "max_tokens came"}
    count = f"{answer['tokens_out']} tokens after {answer['tokens_in']} of the prompt"
    click.echo(f"\nended      {ended.get(outputs['finish'][0], 'the provider does not say why')}: {count}")


def _show_tensors(answer: dict[str, Any]) -> None:
    rows = table("output", "datatype", "shape", "values")
    for output in answer["outputs"]:
        values = output["data"][:PREVIEW]
        text = printable(", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in values))
        rows.add_row(
            output["name"],
            output["datatype"],
            str(output["shape"]),
            text + (", …" if len(output["data"]) > PREVIEW else ""),
        )
    console().print(rows)
    click.echo()


def _show_proof(answer: dict[str, Any], receipt: Path | None, policy: str) -> None:
    click.echo(f"proved     {answer['proof']}, tier {answer['tier']}")
    for signer in answer["signers"]:
        click.echo(f"           {signer}")
    click.echo(f"provider   {answer['provider']}")
    if "check" in answer:
        click.echo(f"check      {answer['check']['says']}")
        if answer["check"]["state"] == "waiting":
            click.echo(f"           how it ended: hallmark receipt export {answer['receipt_digest'][:16]} FILE")
    if answer["price"]:
        left = f", {show_amount(answer['left'])} left in the channel" if answer["left"] is not None else ""
        click.echo(f"price      {show_amount(answer['price'])}{left}")
    click.echo("time       " + ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in answer["timing"].items()))
    if receipt:
        rules = f" --policy {policy}" if policy else ""
        click.echo(f"receipt    {receipt}\n\nNext: hallmark verify {receipt}{rules}")
