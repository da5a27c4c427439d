"""`hallmark verify`"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wire.keys import show_address

from ..datadir import DataDir, find_data_dir
from ..errors import CommandError, Exit
from ..local import find_network
from ..networkfile import load_network
from ..policyfile import load_policy
from .screen import echo_field, echo_json, everywhere, minute

if TYPE_CHECKING:
    from verify.report import Report
    from verify.zk.statement import Statement


@click.command("verify", short_help="check a receipt or a benchmark, offline")
@click.argument("receipt", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--network",
    default="",
    metavar="FILE|NAME",
    help="The network file to trust. Default: the one stored here under the name that RECEIPT says.",
)
@click.option(
    "--policy", default="", type=click.Path(dir_okay=False), help="What you are ready to believe. Default: policy.toml."
)
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=VALUE|@FILE", help="Also check that this was the input."
)
@click.option(
    "--chain", "ask_chain", is_flag=True, help="Ask the network's chain for an epoch that its file no longer remembers."
)
@everywhere
def command(
    receipt: Path, network: str, policy: str, inputs: tuple[str, ...], ask_chain: bool, data_dir: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Check RECEIPT without any network, trusting only the network file and arithmetic. Exit code 0 only when valid.

    It may also be a benchmark that `hallmark bench --records` wrote, or a file of `hallmark fraud export`.
    """
    from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile

    directory = find_data_dir(data_dir)
    several = not network and len(list(directory.networks.glob("*.toml"))) > 1
    place = None if several else find_network(directory, network)
    believed = load_policy(directory, policy)
    try:
        if receipt.stat().st_size > MAX_RECEIPT_FILE:
            raise CommandError(Exit.NOT_PROVED, f"{receipt} is over {MAX_RECEIPT_FILE} bytes: no receipt is")
        data = receipt.read_bytes()
    except OSError as error:
        raise CommandError(Exit.NOT_FOUND, f"{receipt} cannot be read: {error.strerror}") from error
    rules = load_network(place or find_network(directory, _stored_name(directory, data)))
    from ..benching.verdict import tell
    from ..fraud.verdict import tell as tell_fraud

    for told in (tell, tell_fraud):
        if (valid := told(data, rules, as_json)) is not None:
            return int(Exit.OK if valid else Exit.NOT_PROVED)
    from verify import verify_file
    from verify.zk.arithmetic import checked_by
    from wire.canonical import decode
    from wire.errors import RecordError

    try:
        if ask_chain:
            from ..chain.recalling import recalled
            from ..config import load_config

            file = decode(data, ReceiptFile, limit=MAX_RECEIPT_FILE)
            rules = recalled(rules, load_config(directory, {}).config.rpcs, file.request.request.issued_ms)
        tensors = None
        if inputs:
            from wire.manifest import read_manifest

            from ..inputs import make_tensors, read_input

            manifest = read_manifest(decode(data, ReceiptFile, limit=MAX_RECEIPT_FILE).manifest, rules.domain)
            tensors = make_tensors(dict(map(read_input, inputs)), manifest.inputs)
        with checked_by(check_proof):
            report = verify_file(data, rules, tensors, believed)
    except RecordError as error:
        raise CommandError(
            Exit.NOT_PROVED, f"{receipt} is not a receipt: {error}", "Ask for the file again."
        ) from error
    if as_json:
        echo_json({"event": "verified"} | describe(report))
    else:
        _show(report, rules.name)
    return int(Exit.OK if report.valid else Exit.NOT_PROVED)


def _stored_name(directory: DataDir, data: bytes) -> str:
    """The network that a file says it is of. CommandError when no network file of that name is stored here.

    It only picks one of those that this user stored: the file's contract and signatures have to fit it.
    """
    from wire.benchmark import BenchmarkFile
    from wire.canonical import decode
    from wire.errors import RecordError
    from wire.fraud import FraudFile
    from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile

    stored = sorted(path.stem for path in directory.networks.glob("*.toml"))
    kinds: tuple[type[ReceiptFile | FraudFile | BenchmarkFile], ...] = (ReceiptFile, FraudFile, BenchmarkFile)
    for kind in kinds:
        with suppress(RecordError):
            name = decode(data, kind, limit=MAX_RECEIPT_FILE).network
            if name in stored:
                return name
            wrong = f"{name!r} is the network of this file, and no network file of that name is stored here"
            raise CommandError(Exit.CONFIG, wrong, "Name one: --network FILE")
    return stored[0]  # what is no record at all is none under any rules


def check_proof(statement: Statement) -> str:
    """A proof's arithmetic, in a process of its own: few receipts need one."""
    from ..zk.proofs import check_now

    return check_now(statement)


def describe(report: Report) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "valid": report.valid,
        "tier": report.tier,
        "model": report.model,
        "model_name": report.model_name,
        "provider": report.provider_peer,
        "provider_address": show_address(report.provider),
        "payer": show_address(report.payer),
        "signers": list(report.signers),
        "committee": report.committee_size,
        "finished_ms": report.finished_ms,
        "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in report.checks],
        "rests_on": list(report.rests_on),
    }


def _show(report: Report, network: str) -> None:
    click.secho("VALID" if report.valid else "NOT VALID", fg="green" if report.valid else "red", bold=True)
    failed = [check for check in report.checks if not check.ok]
    for check in failed:
        click.secho(f"  does not match: {check.name}: {check.detail}", fg="red")
    if not report.valid:
        click.echo("  Do not use this answer. What stands below is only what the file claims.")
    if failed and all(check.of_policy for check in failed):
        click.echo("  Your policy refuses it. Its rules: hallmark policy show; others: --policy FILE")
    echo_field("network", network)
    echo_field("tier", report.tier)
    echo_field("model", f"{report.model_name or '?'}  {report.model}")
    echo_field("provider", report.provider_peer or show_address(report.provider))
    echo_field("payer", show_address(report.payer))
    echo_field("answered", minute(report.finished_ms))
    if report.committee_size:
        echo_field("signers", f"{len(report.signers)} of {report.committee_size}")
        for signer in report.signers:
            echo_field("", signer)
    for sentence in report.rests_on:
        echo_field("rests on", sentence)
    echo_field("checked", ", ".join(c.name for c in report.checks if c.ok))
