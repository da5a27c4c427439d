"""A whole network for hours: peers that come and go, answers, transfers. Does anything grow?

python -m bench.endurance [--minutes N] [--seed N] [--json]

Four peers stay: each a process with the roles hub, provider and verifier, and they are what is measured. Two more are
ended and started again all the time, half of the times without a goodbye; a client comes each time with an empty store,
pulls the model, and goes. A client that stays asks for an answer of tier quorum again and again. Every ten seconds the
four say what they hold. What they hold in the last fifth of the time is compared with the second fifth (medians), since
the first is for warming up. Exits with 1 when something grew, or when too few answers were proved.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import trio

from bench.figures import percentile, show
from node.asking import ask
from node.attempt import Question
from node.config import Config
from node.datadir import DataDir
from node.demo.magika import load_magika
from node.demo.peers import Member, ending, gather, start, stop
from node.errors import CommandError
from node.finding import find_model
from node.keyfile import create_key
from node.opening import open_peer
from node.operations import run_networked
from node.peer import Peer
from wire.canonical import Amount
from wire.errors import RemoteError
from wire.presence import Role

STAYING, COMING = 4, 2
SAMPLE_EVERY, ASK_EVERY, PULL_EVERY, CHURN_EVERY = 10.0, 1.0, 15.0, (15.0, 45.0)  # seconds
KINDS = ("memory", "tasks", "streams", "descriptors")
# What may be more at the end than at the beginning: a part of the memory, so many of the others.
MEMORY_GROWTH, COUNT_GROWTH = 0.05, {"tasks": 8, "streams": 16, "descriptors": 8}
PROVED = 0.99  # of the answers that were asked for


@dataclass
class Course:
    """What happened so far."""

    samples: dict[str, list[dict[str, int]]] = field(default_factory=lambda: defaultdict(list))  # by peer
    answers: list[float] = field(default_factory=list)  # milliseconds
    pulls: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)


class Endurance:
    """One run."""

    def __init__(self, place: Path, seed: int) -> None:
        stays: tuple[Role, ...] = ("hub", "provider", "verifier")
        comes: tuple[Role, ...] = ("hub", "provider")
        cast = {f"stays-{i}": stays for i in range(STAYING)} | {f"comes-{i}": comes for i in range(COMING)}
        self.members, self._client = gather(place, cast)
        self._staying, self._coming = self.members[:STAYING], self.members[STAYING:]
        self._place, self._random, self.course = place, random.Random(seed), Course()
        self._magika, self._cid = load_magika(), ""

    async def run(self, minutes: float) -> None:
        """Start all, and go on until the time is over."""
        first = self._staying[0]
        for member in self.members:
            await start(member, first.addresses[:1])
        about = {
            "path": str(self._magika.model), "name": "magika", "version": "3.3.0", "licence": "Apache-2.0", "task": "",
            "description": "", "royalty_bps": 0,
        }  # fmt: skip
        self._cid = (await first.call("model.add", about, lambda _: None))["cid"]
        for member in self.members[1:]:
            await member.call("model.pull", {"model": self._cid}, lambda _: None)
        client = Config(bootstraps=first.addresses[:1])
        async with open_peer(self._client, client, serving=False) as peer, trio.open_nursery() as nursery:
            nursery.start_soon(self._ask, peer)
            nursery.start_soon(self._pull)
            for member in self._coming:
                nursery.start_soon(self._come_and_go, member)
            await self._watch(minutes * 60)
            nursery.cancel_scope.cancel()

    async def _ask(self, peer: Peer) -> None:
        """An answer a second, of bytes that nobody asked about before."""
        while True:
            signed, manifest = await find_model(peer, self._cid, lambda _: None)
            tensor = self._magika.features(self._random.randbytes(4096))
            question = Question(
                manifest=signed, specs=manifest, tensors=[tensor], tier="quorum", max_price=Amount(0), seconds=30.0
            )
            began = trio.current_time()
            try:
                await ask(peer, question, lambda _: None)
                self.course.answers.append((trio.current_time() - began) * 1000)
            except (CommandError, RemoteError, ExceptionGroup) as error:
                self.course.failures[f"answer: {type(error).__name__}: {error}"[:160]] += 1
            await trio.sleep(ASK_EVERY)

    async def _pull(self) -> None:
        """A newcomer with an empty store, again and again."""
        for number in range(10**9):
            directory = DataDir(self._place / f"newcomer-{number}")
            directory.create()
            create_key(directory.key)
            shutil.copytree(self._client.networks, directory.networks, dirs_exist_ok=True)
            starts = self._random.choice(self._staying).addresses[:1]
            began = trio.current_time()
            try:
                async with open_peer(directory, Config(bootstraps=starts), serving=False) as peer:
                    await run_networked(peer, "model.pull", {"model": self._cid}, lambda _: None)
                self.course.pulls.append((trio.current_time() - began) * 1000)
            except (CommandError, RemoteError, ExceptionGroup) as error:
                self.course.failures[f"pull: {type(error).__name__}: {error}"[:160]] += 1
            shutil.rmtree(directory.path)
            await trio.sleep(PULL_EVERY)

    async def _come_and_go(self, member: Member) -> None:
        """Half of the times it is killed, half of the times it may say goodbye."""
        while True:
            await trio.sleep(self._random.uniform(*CHURN_EVERY))
            if self._random.random() < 0.5 and member.process is not None:
                member.process.kill()
                self.course.counts["killed"] += 1
            await stop(member)
            self.course.counts["came and went"] += 1
            await start(member, self._random.choice(self._staying).addresses[:1])

    async def _watch(self, seconds: float) -> None:
        began = trio.current_time()
        while (gone := trio.current_time() - began) < seconds:
            await trio.sleep(SAMPLE_EVERY)
            for member in self._staying:
                held = (await member.call("ps", {}, lambda _: None))["node"]
                self.course.samples[member.name].append({kind: held[kind] for kind in KINDS})
            if sys.stderr.isatty():
                course, most = self.course, max(s[-1]["memory"] for s in self.course.samples.values())
                done = f"{gone / 60:.0f} of {seconds / 60:.0f} min, {len(course.answers)} answers"
                print(
                    f"\r{done}, {len(course.pulls)} pulls, {course.failures.total()} failures, {most >> 20} MiB ",
                    end="",
                    file=sys.stderr,
                )


def growth(samples: list[dict[str, int]], kind: str) -> tuple[float, float]:
    """Medians of the second fifth and of the last."""
    fifth = max(1, len(samples) // 5)
    early, late = samples[fifth : 2 * fifth] or samples[:1], samples[-fifth:]
    return statistics.median(s[kind] for s in early), statistics.median(s[kind] for s in late)


def judge(course: Course) -> tuple[list[dict[str, object]], list[str]]:
    """A row for each peer and kind, and what is wrong."""
    rows, wrong = [], []
    for name, samples in course.samples.items():
        for kind in KINDS:
            early, late = growth(samples, kind)
            most = early * (1 + MEMORY_GROWTH) if kind == "memory" else early + COUNT_GROWTH[kind]
            unit = 2**20 if kind == "memory" else 1
            shown = "memory, MiB" if kind == "memory" else kind
            figures = {"early": round(early / unit, 1), "late": round(late / unit, 1)}
            rows.append(
                {"peer": name, "what": shown, **figures, "most seen": round(max(s[kind] for s in samples) / unit, 1)}
            )
            if late > most:
                wrong.append(f"{kind} of {name} grew: {early / unit:.1f} to {late / unit:.1f}")
    asked = len(course.answers) + sum(n for what, n in course.failures.items() if what.startswith("answer"))
    if len(course.answers) < PROVED * asked or not course.answers or not course.pulls:
        wrong.append(f"{len(course.answers)} of {asked} answers were proved, and {len(course.pulls)} pulls worked")
    return rows, wrong


def main() -> int:
    """Parse the arguments, run, show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    began = time.monotonic()

    async def run(place: Path) -> Course:
        endurance = Endurance(place, arguments.seed)
        async with ending(endurance.members):
            await endurance.run(arguments.minutes)
        return endurance.course

    with tempfile.TemporaryDirectory() as place:
        course = trio.run(run, Path(place))
    rows, wrong = judge(course)
    minutes = (time.monotonic() - began) / 60
    show(f"What four peers hold, {minutes:.0f} minutes long", rows, arguments.json)
    done: dict[str, object] = {
        "answers": len(course.answers),
        "p50_ms": round(percentile(course.answers or [0.0], 50), 1),
        "p99_ms": round(percentile(course.answers or [0.0], 99), 1),
        "pulls": len(course.pulls),
        "pull_p50_ms": round(percentile(course.pulls or [0.0], 50), 1),
        **course.counts,
        "failures": course.failures.total(),
    }
    show("What they did meanwhile", [done], arguments.json)
    for what, times in course.failures.most_common(10):
        print(f"  {times} times {what}")
    for what in wrong:
        print(f"WRONG: {what}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
