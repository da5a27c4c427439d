"""`hallmark verify` of a benchmark's file."""

from __future__ import annotations

import click

from verify.benchmark import BenchmarkReport, verify_benchmark
from wire.errors import RecordError
from wire.keys import show_address
from wire.network import Network

from ..cli.screen import echo_field, echo_json
from .backend import show_backend
from .described import describe


def tell(data: bytes, network: Network, as_json: bool) -> bool | None:
    """Show what a benchmark's file says and whether all of it holds; None when `data` is no such file."""
    try:
        report = verify_benchmark(data, network)
    except RecordError:
        return None
    if as_json:
        echo_json({"event": "verified"} | describe(report))
    else:
        _show(report)
    return report.valid


def _show(report: BenchmarkReport) -> None:
    from .tables import ms, number  # it draws with rich, which a receipt does without

    b = report.benchmark
    click.secho("VALID" if report.valid else "NOT VALID", fg="green" if report.valid else "red", bold=True)
    click.echo(f"  benchmark of {report.model_name or '?'}  {report.model}")
    click.echo(f"  provider  {report.provider_peer or show_address(b.provider)}")
    click.echo(f"  measurer  {show_address(b.measurer)}")
    click.echo(f"  executed  {show_backend(b.backend)}, tier {b.tier}")
    click.echo(
        f"  figures   {number(report.items_per_s)} items/s, p50 {ms(b.p50_us)} ms, p99 {ms(b.p99_us)} ms; "
        f"{b.concurrency} clients, {b.requests:,} requests in {b.duration_us / 1e6:g} s, "
        f"executed {b.together_p50} at a time, up to {b.together_max}, "
        f"{b.failed} failed, {b.wrong} wrong"
    )
    for check in report.checks:
        if not check.ok:
            click.secho(f"  does not match: {check.name}: {check.detail}", fg="red")
    for sentence in report.rests_on:
        echo_field("rests on", sentence)
    echo_field("checked", ", ".join(c.name for c in report.checks if c.ok))
    if not report.valid:
        click.echo("  Do not use these figures.")
