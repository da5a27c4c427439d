"""Models that mean harm, published at and asked of a real provider: what becomes of each, and how late its node is.

python -m bench.hostile [--only TEXT] [--json]

The provider is a process of its own with a task that wants to run every 5 ms and says how late it is. A second process
that does nothing but the same shows what the machine itself costs meanwhile, and the longest step that any task of the
provider's takes, in processor time, shows what the provider's own code costs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from bench.figures import show
from bench.models import hostile
from node.asking import ask
from node.attempt import Question
from node.config import Config
from node.control import call_node
from node.datadir import DataDir
from node.demo.peers import gather
from node.errors import CommandError
from node.finding import find_model
from node.listening import LOOPBACK
from node.opening import open_peer
from node.peer import Peer
from node.serving import serve
from wire.canonical import Amount
from wire.errors import RemoteError
from wire.tensors import Tensor

TICK = 0.005  # seconds
WORTH_TELLING = 0.002
SECONDS = 10.0  # that an asker allows


@dataclass
class Lateness:
    """What a process says of its ticks: when, by the machine's clock, and how many seconds late."""

    ticks: list[tuple[float, float]] = field(default_factory=list)
    steps: list[tuple[float, float, str]] = field(default_factory=list)  # and its long steps: when, how long, whose
    ready: trio.Event = field(default_factory=trio.Event)
    address: str = ""

    def most(self, since: float, until: float) -> float:
        """The latest tick of that time, in milliseconds."""
        return round(1000 * max((late for at, late in self.ticks if since <= at <= until), default=0.0), 1)

    def longest(self, since: float, until: float) -> tuple[float, str]:
        """The longest step of that time, in milliseconds of processor time, and the task that took it."""
        took, task = max(((took, task) for at, took, task in self.steps if since <= at <= until), default=(0.0, ""))
        return round(1000 * took, 1), task


class Steps(trio.abc.Instrument):
    """Tells of every long step of a task, in processor time: another process on the core does not count."""

    def __init__(self) -> None:
        self._began = time.thread_time()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002
        self._began = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if (took := time.thread_time() - self._began) > WORTH_TELLING:
            print(json.dumps({"at": time.monotonic(), "step": took, "task": task.name.rpartition(".")[2]}), flush=True)


async def tick() -> None:
    """Tell of every late tick, for ever."""
    while True:
        due = trio.current_time() + TICK
        await trio.sleep_until(due)
        late = trio.current_time() - due
        if late > WORTH_TELLING:
            print(json.dumps({"at": time.monotonic(), "late": late}), flush=True)


async def be_node(directory: DataDir) -> None:
    """A provider with a ticking task beside it, until it is told to stop."""
    trio.lowlevel.add_instrument(Steps())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        config = Config(roles=("hub", "provider"), listen=LOOPBACK)
        await serve(directory, config, lambda event: print(json.dumps(event), flush=True))
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def ticking(*arguments: str) -> AsyncIterator[Lateness]:
    """This program in a process of its own, and what it says."""
    process = subprocess.Popen([sys.executable, "-m", "bench.hostile", *arguments], stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert process.stdout is not None
    said = Lateness()

    async def listen(stream: trio.lowlevel.FdStream) -> None:
        rest = b""
        async for data in stream:
            *lines, rest = (rest + data).split(b"\n")
            for line in map(json.loads, lines):
                if "step" in line:
                    said.steps.append((line["at"], line["step"], line["task"]))
                elif "late" in line:
                    said.ticks.append((line["at"], line["late"]))
                elif line["event"] == "ready":
                    said.address = line["addresses"][0]
                    said.ready.set()

    try:
        async with trio.open_nursery() as nursery, trio.lowlevel.FdStream(os.dup(process.stdout.fileno())) as stream:
            nursery.start_soon(listen, stream)
            yield said
            nursery.cancel_scope.cancel()
    finally:
        process.terminate()
        process.wait()


async def measure(only: str, place: Path) -> list[dict[str, object]]:
    """A row for each of the models."""
    (member,), client = gather(place, {"provider": ("hub", "provider")})
    at_load = [(name, data, None) for name, data in hostile.at_load() if only in name]
    cases: list[tuple[str, bytes, Tensor | None]] = [*at_load, *(case for case in hostile.at_run() if only in case[0])]
    rows = []
    async with ticking("--idle") as idle, ticking("--node", str(member.directory.path)) as node:
        await node.ready.wait()
        async with open_peer(client, Config(bootstraps=(node.address,)), serving=False) as peer:
            for number, (name, data, tensor) in enumerate(cases):
                path = place / f"harm-{number}.onnx"
                path.write_bytes(data)
                began = time.monotonic()
                told = await _harm(member.directory, peer, path, tensor)
                ended = time.monotonic()
                await trio.sleep(3 * TICK)  # the last ticks are on their way
                step_ms, task = node.longest(began, ended)
                rows.append(
                    {
                        "harm": name,
                        "file": len(data),
                        "seconds": round(ended - began, 1),
                        "late_ms": node.most(began, ended),
                        "idle_late_ms": idle.most(began, ended),
                        "step_ms": step_ms,
                        "task": task,
                        "load": round(os.getloadavg()[0], 1),
                        "told": told[:100],
                    }
                )
    return rows


async def _harm(directory: DataDir, peer: Peer, path: Path, tensor: Tensor | None) -> str:
    """Publish the model, and, when an input is given, ask it: what its publisher, or its asker, is told."""
    about: dict[str, Any] = {"path": str(path), "name": path.stem, "version": "1.0.0", "licence": "MIT", "task": "",
                             "description": "", "royalty_bps": 0}  # fmt: skip
    try:
        added = await call_node(directory.socket, "model.add", about, lambda _: None)
        assert added is not None
        if tensor is None:
            return "taken, and served like any other"
        signed, manifest = await find_model(peer, added["cid"], lambda _: None)
        await ask(peer, Question(signed, manifest, [tensor], "signed", Amount(0), SECONDS), lambda _: None)
    except (CommandError, RemoteError) as error:
        return " ".join(str(error).split())
    return "answered"


def main() -> None:
    """Parse the arguments, measure, show; or be one of the two processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose name holds it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--node", metavar="DIRECTORY", help=argparse.SUPPRESS)
    parser.add_argument("--idle", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.idle:
        trio.run(tick)
    elif arguments.node:
        trio.run(be_node, DataDir(Path(arguments.node)))
    else:
        with tempfile.TemporaryDirectory() as place:
            rows = trio.run(measure, arguments.only, Path(place))
        show("A provider's loop while a model does its worst", rows, arguments.json)


if __name__ == "__main__":
    main()
