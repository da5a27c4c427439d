"""Peers that mean harm flood an honest one: others are served meanwhile, and whom it refuses stays refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.figures import percentile
from tests.node.processes.running import ROOT, _die_with_parent, environment

from ..crew import crew
from ..lean import Lean, Trouble, wait_for
from ..table import Row
from ..world import Machine, World

_P99 = 2.0  # seconds
_FLOODERS = 6
_NICE = 5  # they have machines of their own in the world, and share two cores with their victim here


def run(quick: bool) -> Iterator[Row]:
    """Six peers flood all that a relay serves, as fast as they can; honest ones ask on."""
    with World() as world, crew(world) as peers, ExitStack() as ending:
        target_machine, honest_machine, third_machine, *bad_machines = world.add_public(3 + _FLOODERS)
        world.start()
        target = peers.add(target_machine, relay=True)
        asker = peers.add(honest_machine, bootstraps=[target.address])
        other = peers.add(third_machine, bootstraps=[target.address])
        peers.wait()
        for peer in peers.all:
            peer.ask("join", topic="lab")
        time.sleep(3)  # until the honest ones are in each other's mesh
        calm = asker.ask("echo", peer=target.peer_id, times=20)["took"]
        floods = [_flood(machine, [target.address], world.folder, ending) for machine in bad_machines]
        wait_for(lambda: all(_counts(flood).get("sockets") for flood in floods), "a flood", 30)
        before = target.status()["cpu"]
        began, took, sent = time.monotonic(), [], 0
        while time.monotonic() - began < (15 if quick else 30):
            took += asker.ask("echo", peer=target.peer_id, within=30)["took"]
            if len(took) % 5 == 0:
                other.ask("say", topic="lab", number=sent)
                sent += 1
            time.sleep(0.05)
        lasted = time.monotonic() - began
        share = 100 * (target.status()["cpu"] - before) / lasted
        time.sleep(1)
        heard = {n for n, author, _ in asker.ask("heard", topic="lab")["messages"] if author == other.peer_id}
        counts = [_counts(flood) for flood in floods]
        got = ", ".join(
            f"{sum(c.get(what, 0) for c in counts):,} {what}"
            for what in ("identities", "messages", "streams", "sockets", "malformed inputs")
        )
        p99, quiet = percentile(took, 99), percentile(calm, 99)
        protocols = {what.removeprefix("rounds on ") for c in counts for what in c if what.startswith("rounds on ")}
        got += f" on {len(protocols)} protocols"
        yield Row("a flood: honest exchanges, p99", f"{p99:.2f} s (calm: {quiet:.2f}); {got}", "2 s", p99 < _P99)
        yield Row("a flood: honest messages heard", f"{len(heard)} of {sent}", "all", len(heard) == sent)
        yield Row("a flood: processor of who is flooded", f"{share:.0f}% of a core", "told", True)


def ban(quick: bool) -> Iterator[Row]:  # noqa: ARG001 — it is quick
    """Who says rubbish is refused, and still is after a restart of who refused it."""
    with World() as world, crew(world) as peers:
        machines = world.add_public(3)
        world.start()
        folder = world.folder / "remembered"
        folder.mkdir()
        victim = peers.add(machines[0], folder=str(folder)).wait()
        bad = peers.add(machines[1], bootstraps=[victim.address]).wait()
        for peer in peers.all:
            peer.ask("join", topic="lab")
        wait_for(lambda: bad.way_to(victim), "a connection", 30)
        _, took = wait_for(lambda: _rubbish(bad, victim), "a ban", 60)
        yield Row("who says rubbish is refused", f"after {took:.1f} s", "60 s", True)
        victim.end()
        victim.launch().wait()
        try:
            bad.ask("connect", addresses=[victim.address], within=20)
            bad.ask("echo", peer=victim.peer_id, within=20)
            still = False
        except Trouble:
            still = True
        stranger = peers.add(machines[2]).wait()
        stranger.ask("connect", addresses=[victim.address], within=20)  # else it might be that nobody gets in
        stranger.ask("echo", peer=victim.peer_id, within=20)
        yield Row("a ban survives a restart", "still refused" if still else "taken in again", "still refused", still)


def _rubbish(bad: Lean, victim: Lean) -> bool:
    """Say more of it; whether the other has had enough."""
    bad.ask("rubbish", topic="lab", times=20)
    return any(one["refused_s"] > 0 for one in victim.ask("standing")["peers"])


def _flood(machine: Machine, targets: list[str], folder: Path, ending: ExitStack) -> Path:
    said = folder / f"flood-{machine.name.replace(' ', '-')}"
    with machine.network.inside(), said.open("wb") as out, said.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.flooder", *targets],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
    ending.callback(process.wait)
    ending.callback(process.kill)
    return said


def _counts(said: Path) -> dict[str, int]:
    """The last whole line of what a flooder counted."""
    lines = said.read_text().split("\n")[:-1]
    return dict(json.loads(lines[-1])) if lines else {}
