"""`hallmark doctor`"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click
import trio

from ..config import Config, load_config
from ..datadir import DataDir, find_data_dir
from ..errors import CommandError, Exit
from ..keyfile import load_key
from ..local import find_network
from ..networkfile import load_network
from ..releases import in_words
from ..running import run_operation
from .money import money_lines
from .reach import reach_lines
from .screen import echo_json, everywhere, folded

if TYPE_CHECKING:
    from engine import ProbeReport

LOW_DISK = 1 << 30
CHAIN_SECONDS = 5.0  # that are waited for the chain: each RPC alone may take 15
INDENT = " " * 8


@dataclass(frozen=True)
class Finding:
    """One thing looked at: well or not, what was found, and the step that mends it."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


@click.command("doctor", short_help="find what is wrong")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="A peer to try; may be repeated.")
@everywhere
def command(bootstraps: tuple[str, ...], data_dir: str | None, as_json: bool) -> int:
    """Look at this machine and this peer, execute on each backend to probe it, and say how to mend what is wrong."""
    directory = find_data_dir(data_dir)
    wrong = False
    for finding in _look(directory, bootstraps):
        wrong |= not finding.ok
        if as_json:
            echo_json(
                {
                    "event": "finding",
                    "name": finding.name,
                    "ok": finding.ok,
                    "detail": finding.detail,
                    "mend": finding.mend,
                }
            )
            continue
        click.secho("  ok    " if finding.ok else "  WRONG ", fg="green" if finding.ok else "red", nl=False)
        click.echo(f"\n{INDENT}".join(folded(f"{finding.name}: {finding.detail}", len(INDENT))))
        if finding.mend:
            click.echo(INDENT + f"\n{INDENT}".join(folded(finding.mend, len(INDENT))))
    return int(Exit.CONFIG if wrong else Exit.OK)


def _look(directory: DataDir, bootstraps: tuple[str, ...]) -> Iterator[Finding]:
    reach: dict[str, Any] = {}
    if directory.initialised:
        reach = yield from _reach(directory, bootstraps)  # before all else: it decides what a peer is good for
    yield Finding("python", True, sys.version.split()[0])
    from engine import probe

    report = trio.run(probe)
    yield from _engines(report)
    yield from _proofs()
    if not directory.initialised:
        yield Finding("peer", False, f"there is none in {directory.path} yet", "Run: hallmark init")
        return
    yield from _peer(directory, {found.kind for found in report.probes if found.backend is not None})
    yield from _peers(directory, bootstraps, reach.get("alone"))
    yield from _money(directory)


def _engines(report: ProbeReport) -> Iterator[Finding]:
    for found in report.probes:
        backend = found.backend
        if backend is None and not found.installed:
            needed = found.kind == "onnxruntime-cpu"  # there is no peer without it
            yield Finding("backend", not needed, f"{found.kind} is not installed ({found.problem})")
        elif backend is None:
            yield Finding("backend", False, f"{found.kind} is installed and does not execute here: {found.problem}")
        else:
            card = f", compute capability {backend.compute_capability}" if backend.compute_capability else ""
            ran = f"{backend.name} {backend.version} on {backend.device}{card}: a model was executed"
            yield Finding("backend", True, ran)
            yield Finding("sandbox", True, ", ".join(found.sandbox))
    for problem in report.problems:
        yield Finding("engine", False, problem)


def _proofs() -> Iterator[Finding]:
    from engine import EngineError
    from engine.zk.running import installed, probe

    if not installed():
        yield Finding("proofs", True, "EZKL is not installed (pip install 'hallmark[zk]'): no tier zk")
        return
    try:
        worker = trio.run(probe)
    except EngineError as error:
        mend = "Install it again: pip install --force-reinstall 'hallmark[zk]'"
        yield Finding("proofs", False, f"EZKL is installed and does not start here: {error}", mend)
    else:
        yield Finding("proofs", True, f"{worker.system}, held by {', '.join(worker.sandbox)}")


def _peer(directory: DataDir, executed: Collection[str]) -> Iterator[Finding]:
    try:
        key = load_key(directory.key)
        yield Finding("key", True, f"{key.peer_id}, readable by its owner alone")
    except CommandError as error:
        yield Finding("key", False, error.message, error.next_step)
    try:
        config = load_config(directory, {}).config
        yield Finding("config", True, str(directory.config) if directory.config.exists() else "defaults")
        if config.backend not in ("auto", *executed):
            wanted = f"the setting backend is {config.backend}, which does not execute here, so no model will be"
            yield Finding("backend", False, wanted, "Mend what the line on it names, or set backend to auto.")
        network = load_network(find_network(directory, config.network))
        voters = len(network.verifiers)
        yield Finding("network", True, f"{network.name}: {voters} verifier(s), committees of {network.committee_size}")
    except CommandError as error:
        yield Finding("config", False, error.message, error.next_step)
    else:
        yield from _attestation(directory, config)
    free = shutil.disk_usage(directory.path).free
    mend = "" if free > LOW_DISK else "Free some space, or move the data directory: --data-dir DIR"
    yield Finding("disk", free > LOW_DISK, f"{free / (1 << 30):.1f} GiB free in {directory.path}", mend)


def _attestation(directory: DataDir, config: Config) -> Iterator[Finding]:
    from ..attesting.looking import look_at_attestation
    from ..clock import now_ms

    try:
        for seen in look_at_attestation(directory, config, now_ms() // 1000):
            yield Finding(seen.name, seen.ok, seen.detail, seen.mend)
    except CommandError as error:  # the development attester's key
        yield Finding("attestation", False, error.message, error.next_step)


def _money(directory: DataDir) -> Iterator[Finding]:
    """How the peer stands on its network's chain, where it has one."""
    from ..failures import explain

    try:
        if load_network(find_network(directory, load_config(directory, {}).config.network)).chain is None:
            return
        found = trio.run(run_operation, directory, {}, "money", {"within": CHAIN_SECONDS}, lambda _: None)
    except BaseException as error:
        failure = explain(error)
        if failure is None:
            raise
        if failure.exit_code is not Exit.CONFIG:  # told by `_peer` already
            yield Finding("chain", False, failure.message, failure.next_step)
        return
    if "problem" in found:
        yield Finding("chain", False, found["problem"], "See which RPC answers: hallmark chain status")
    else:
        yield Finding("chain", True, f"{found['chain_id']} answers")
    for label, text in money_lines(found):
        if label != "chain":
            yield Finding(label, True, text)
    for one in found["lacks"]:
        yield Finding("money", False, one["what"], one["next"])


def _reach(directory: DataDir, bootstraps: tuple[str, ...]) -> Generator[Finding, None, dict[str, Any]]:
    from ..failures import explain

    try:
        found = trio.run(run_operation, directory, {"bootstraps": bootstraps}, "reach", {"wait": True}, _wait)
    except BaseException as error:
        failure = explain(error)
        if failure is None:
            raise
        yield Finding("reachable", False, failure.message, failure.next_step)
        return {}
    lines = [f"{label}: {text}" if label else text for label, text in reach_lines(found | {"steps": []})]
    steps = [f"{i}. {step}" for i, step in enumerate(found["steps"], 1)]
    well = found["state"] != "private" or (bool(found["relays"]) and not found["idle_relay"])
    yield Finding("reachable", well, "\n".join([found["line"], *lines]), "\n".join(steps))
    return found


def _wait(event: dict[str, Any]) -> None:
    """Tell what is waited for, where somebody watches."""
    if sys.stderr.isatty() and "text" in event:
        click.echo(f"  …     {event['text']}", err=True)


def _peers(directory: DataDir, bootstraps: tuple[str, ...], alone: Mapping[str, str] | None) -> Iterator[Finding]:
    """Who is connected. `alone`: what there is to say where a look at the reachability has found nobody already."""
    if alone is not None:
        yield _lonely(alone["message"], alone["next_step"])
        return
    try:
        found = trio.run(run_operation, directory, {"bootstraps": bootstraps}, "peers", {}, _wait)
    except BaseException as error:
        from ..failures import explain

        failure = explain(error)
        if failure is None:
            raise
        lonely = _lonely(failure.message, failure.next_step)
        yield lonely if failure.exit_code is Exit.NO_PEERS else replace(lonely, ok=False)
        return
    connected = sum(p["connected"] for p in found["peers"])
    yield Finding("peers", True, f"{connected} connected, {len(found['peers'])} known")
    if found["newer"]:
        yield Finding("release", False, in_words(found["newer"]), "Update this one: see its release notes first.")


def _lonely(message: str, next_step: str) -> Finding:
    """Alone is no fault of a peer that knows of nobody; whom it tried in vain stands on lines of their own."""
    return Finding("peers", "\n" not in message, message, next_step)
