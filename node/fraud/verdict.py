"""`hallmark verify` of a fraud file."""

from __future__ import annotations

from typing import Any

import click

from verify.fraud import FraudReport, verify_fraud
from wire.errors import RecordError
from wire.keys import show_address
from wire.network import Network

from ..cli.screen import echo_field, echo_json


def tell(data: bytes, network: Network, as_json: bool) -> bool | None:
    """Show what a fraud file says and whether all of it holds; None when `data` is no such file."""
    try:
        report = verify_fraud(data, network)
    except RecordError:
        return None
    if as_json:
        echo_json({"event": "verified"} | describe(report))
    else:
        _show(report)
    return report.valid


def describe(report: FraudReport) -> dict[str, Any]:
    """The report as plain values; `kind` "fraud" tells it from other files."""
    return {
        "kind": "fraud",
        "fraud": report.kind.name.lower(),
        "valid": report.valid,
        "settles": report.settles,
        "culprit": show_address(report.culprit),
        "digest": report.digest.hex(),
        "says": report.says,
        "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in report.checks],
        "rests_on": list(report.rests_on),
    }


def _show(report: FraudReport) -> None:
    click.secho("VALID" if report.valid else "NOT VALID", fg="green" if report.valid else "red", bold=True)
    click.echo(f"  fraud     {report.kind.name.lower().replace('_', ' ')}")
    echo_field("says", report.says)
    click.echo(f"  culprit   {show_address(report.culprit)}")
    click.echo(f"  digest    {report.digest.hex()}")
    for check in report.checks:
        if not check.ok:
            click.secho(f"  does not match: {check.name}: {check.detail}", fg="red")
    for sentence in report.rests_on:
        echo_field("rests on", sentence)
    echo_field("checked", ", ".join(c.name for c in report.checks if c.ok))
    if not report.valid:
        click.echo("  It accuses nobody.")
