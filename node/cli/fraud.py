"""`hallmark fraud ls | export | scan | submit | contest | execute | rule`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import trio

from wire.fraud import MAX_FRAUD_FILE

from ..chain.amounts import show_amount
from ..datadir import find_data_dir
from ..errors import CommandError, Exit
from ..running import run_operation
from .progress import Shown
from .screen import echo_field, echo_json, everywhere, minute
from .stake import account, passphrase, run_chained


@click.group("fraud", short_help="evidence of peers that broke their word")
def command() -> None:
    """Frauds that this peer met: each is one file that anybody can check, with hallmark verify and the network file."""


@command.command("ls")
@everywhere
def ls(data_dir: str | None, as_json: bool) -> None:
    """List the fraud files here, newest first."""
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "fraud.ls", {}, shown)
    if as_json:
        echo_json({"event": "frauds"} | found)
        return
    if not found["frauds"]:
        click.echo("No fraud was met.\n\nTo look through your receipts for lazy verifiers: hallmark fraud scan")
        return
    for f in found["frauds"]:
        weight = "can be acted on" if f["settles"] else "a report: accuses nobody"
        click.echo(f"{f['digest'][:16]}  met {minute(f['kept_ms'])}  {weight}")
        echo_field("", f["says"] if f["valid"] else f"{f['says']} (does not hold under this network file)")
        if "on_chain" in f:
            echo_field("", _on_chain(f))
    if found.get("problem"):
        click.echo(f"\nThe chain did not answer: {found['problem']}")
    click.echo(f"\nNext: hallmark fraud export {found['frauds'][0]['digest'][:16]} FILE")


@command.command("export")
@click.argument("digest")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@everywhere
def export(digest: str, file: Path, data_dir: str | None, as_json: bool) -> None:
    """Write the fraud file whose digest begins with DIGEST to FILE."""
    params = {"digest": digest, "path": str(file.absolute())}
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "fraud.export", params, shown)
    if as_json:
        echo_json({"event": "exported"} | found)
        return
    click.echo(f"Exported {found['digest']}\n\nNext: hallmark verify {file}")


@command.command("scan")
@everywhere
def scan(data_dir: str | None, as_json: bool) -> None:
    """Look through the receipts here for verifiers who look lazy. A report accuses nobody, and says so."""
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "fraud.scan", {}, shown)
    if as_json:
        echo_json({"event": "scanned"} | found)
        return
    looked = f"Looked through {found['receipts']} receipts"
    if not found["reports"]:
        click.echo(f"{looked}: no verifier looks lazy in them.")
    else:
        click.echo(f"{looked}: {found['reports']} report(s) of verifiers who look lazy.")
        click.echo("\nNext: hallmark fraud ls")


def _on_chain(row: dict[str, Any]) -> str:
    if not row["on_chain"]:
        return f"not on the chain: hallmark fraud submit {row['digest'][:16]}"
    if row["slashed"]:
        return f"on the chain: {show_amount(row['slashed'])} tokens were slashed"
    if row["contested"]:
        return "on the chain, contested: the settlers have to rule on it" if row["open"] else "on the chain: dismissed"
    return "on the chain, as an accusation that may be contested" if row["open"] else "on the chain"


@command.command("submit")
@click.argument("file_or_digest")
@account
@passphrase
@everywhere
def submit(
    file_or_digest: str, account: str | None, passphrase_file: str | None, data_dir: str | None, as_json: bool
) -> None:
    """Show a fraud to the chain: a FILE, or one that is kept here, by its DIGEST's beginning. Who did it is slashed, or
    accused, and you have the reporter's part."""
    place = Path(file_or_digest)
    params: dict[str, Any] = {"digest": file_or_digest, "data": None}
    if place.is_file():
        if place.stat().st_size > MAX_FRAUD_FILE:
            raise CommandError(Exit.NOT_PROVED, f"{place} is over {MAX_FRAUD_FILE} bytes: no fraud file is")
        params["data"] = place.read_bytes()
    done = run_chained(data_dir, as_json, "fraud.submit", params, account=account, passphrase_file=passphrase_file)
    if not as_json:
        click.echo(f"On the chain, in block {done['block']}: fraud {done['digest']}")
        _tell(done)


@command.command("contest")
@click.argument("digest")
@account
@passphrase
@everywhere
def contest(digest: str, account: str | None, passphrase_file: str | None, data_dir: str | None, as_json: bool) -> None:
    """Contest an accusation, by its whole DIGEST: it holds only if the settlers say so then. For who is accused, or for
    any active node that knows better."""
    params = {"digest": _digest(digest)}
    run_chained(data_dir, as_json, "fraud.contest", params, account=account, passphrase_file=passphrase_file)
    if not as_json:
        click.echo("It is contested: without a ruling of the settlers nobody is slashed.")


@command.command("execute")
@click.argument("digest")
@account
@passphrase
@everywhere
def execute(digest: str, account: str | None, passphrase_file: str | None, data_dir: str | None, as_json: bool) -> None:
    """Have the accused of DIGEST slashed, when nobody contested in time."""
    params = {"digest": _digest(digest)}
    done = run_chained(data_dir, as_json, "fraud.execute", params, account=account, passphrase_file=passphrase_file)
    if not as_json:
        _tell(done)


@command.command("rule")
@click.argument("digest")
@click.argument("ruling", type=click.Choice(["uphold", "dismiss"]))
@click.argument("signatures", nargs=-1)
@click.option("--post", is_flag=True, help="Send it to the chain, with the SIGNATURES of other settlers.")
@account
@passphrase
@everywhere
def rule(
    digest: str, ruling: str, signatures: tuple[str, ...], post: bool, account: str | None,
    passphrase_file: str | None, data_dir: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Sign a ruling on a contested accusation, as a settler. Look at the evidence first: hallmark verify FILE.

    Hand the signature to who collects them; with --post and those of more than two thirds of the settlers' stake it
    is sent to the chain.
    """
    params = {
        "digest": _digest(digest), "upheld": ruling == "uphold", "post": post,
        "signatures": [_hex(text, 65, "a ruling's signature") for text in signatures],
    }  # fmt: skip
    name = "fraud.post" if post else "fraud.rule"
    said = run_chained(data_dir, as_json, name, params, account=account, passphrase_file=passphrase_file)
    if as_json:
        return
    if said["posted"]:
        click.echo(f"The ruling is on the chain, in block {said['block']}.")
        _tell(said)
        return
    click.echo(said["signature"])
    if not said["counts"]:
        click.echo("\nThis node was no settler when it was accused: its signature does not count.", err=True)
    else:
        click.echo(f"\n{said['stake']} of {said['total']} at stake have signed so far.", err=True)


def _digest(text: str) -> bytes:
    return _hex(text, 32, "a fraud's digest")


def _hex(text: str, size: int, what: str) -> bytes:
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != size:
        raise CommandError(Exit.USAGE, f"{text!r} is not {what}", f"It has {2 * size} hexadecimal digits.")
    return raw


def _tell(done: dict[str, Any]) -> None:
    if done["slashed"]:
        click.echo(
            f"Slashed: {show_amount(done['slashed'])} tokens; {show_amount(done['reported'])} are the reporter's."
        )
    if done["contest_until_s"]:
        click.echo(f"It may be contested until {minute(done['contest_until_s'] * 1000)}.")
        click.echo("\nThen: hallmark fraud execute DIGEST (a running node with an account does it by itself)")
