"""Nodes and commands as operating-system processes, and the one place where a test waits for them.

Every process is a child of the test run's main thread and is killed by the kernel when that ends, however it ends; the
fixtures end them before that.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import trio

from node.control import call_node
from node.datadir import DataDir
from node.keyfile import create_key
from node.listening import LOOPBACK
from node.local import keep_network
from wire.keys import NodeKey
from wire.network import Network

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60.0  # seconds: far more than anything here takes, on a core that others share
_PR_SET_PDEATHSIG = 1
_KERNEL = ctypes.CDLL(None)  # loaded here, because a child between fork and exec should load nothing
_MODELS_HELD = "8"

Event = dict[str, Any]


def until(probe: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """The first result of `probe` that is true; fails with `what` when none is in time."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
    return found


async def soon(probe: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """`until` for a test that runs trio's loop itself."""
    deadline = trio.current_time() + seconds
    while not (found := probe()):
        assert trio.current_time() < deadline, f"not within {seconds:.0f} s: {what}"
        await trio.sleep(0.02)
    return found


async def eventually(probe: Callable[[], Awaitable[T]], what: str, seconds: float = PATIENCE) -> T:
    """`soon` for a probe that must itself ask somebody."""
    deadline = trio.current_time() + seconds
    while not (found := await probe()):
        assert trio.current_time() < deadline, f"not within {seconds:.0f} s: {what}"
        await trio.sleep(0.02)
    return found


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _KERNEL.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Ours without any setting of hallmark's, on this machine alone, and with room for all models of a test network."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HALLMARK_")}
    return kept | {"HALLMARK_MAX_MODELS": _MODELS_HELD, "HALLMARK_LISTEN": LOOPBACK[0]}


def launch(arguments: Sequence[str], stdout: Any, stderr: Any) -> subprocess.Popen[bytes]:
    """Start `python` with `arguments`, in a session of its own. Only from the main thread: see the top of this file."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything that a person sees."""
        return self.out + self.err

    @property
    def json(self) -> Event:
        """The last line of --json: the result, or the error."""
        return dict(json.loads(self.out.splitlines()[-1]))


def hallmark(*arguments: object, directory: DataDir | None = None) -> Ended:
    """Run one command to its end, in a process of its own."""
    words = ["-m", "node.cli", *map(str, arguments)]
    if directory is not None:
        words += ["--data-dir", str(directory.path)]
    return to_its_end(words)


def to_its_end(arguments: Sequence[str]) -> Ended:
    """Run `python` with `arguments` until it ends."""
    process = launch(arguments, subprocess.PIPE, subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    return Ended(process.returncode, out.decode(), err.decode())


def search(*words: object, directory: DataDir) -> Ended:
    """`hallmark model search` that a hub answered: on a busy machine it may give up before it has met one."""

    def heard() -> Ended | None:
        ended = hallmark("model", "search", *words, "--json", directory=directory)
        assert ended.code == 0, ended.said
        return ended if ended.json["hubs"] else None

    return until(heard, "a hub's answer to a search")


def settle(path: Path, network: Network | None = None) -> DataDir:
    """A data directory with a key, and with `network` to belong to."""
    directory = DataDir(path)
    directory.create()
    create_key(directory.key)
    if network is not None:
        keep_network(directory, network)
    return directory


@dataclass
class Node:
    """One `hallmark serve`, which may be started, killed and started again on the same directory."""

    directory: DataDir
    key: NodeKey
    roles: tuple[str, ...]
    price: int = 0  # in the smallest unit
    program: tuple[str, ...] = ("-m", "node.cli", "serve", "--data-dir")
    process: subprocess.Popen[bytes] | None = None
    ready: Event = field(default_factory=dict)

    def launch(self, *bootstraps: str) -> None:
        """Start the process; `wait_ready` waits for its first word."""
        flags = [str(self.directory.path), "--json", "--price", f"{self.price}u"]
        flags += [word for role in self.roles for word in ("--role", role)]
        flags += [word for address in bootstraps for word in ("--bootstrap", address)]
        with self.out.open("wb") as out, self.log.open("ab") as log:
            self.process = launch([*self.program, *flags], out, log)

    def wait_ready(self) -> None:
        """Return once it has said that it is ready."""

        def is_ready() -> bool:
            assert self.running, f"it ended: {self.words()}"
            self.ready = next((event for event in self.events() if event["event"] == "ready"), {})
            return bool(self.ready)

        until(is_ready, f"a ready line from {self.directory.path.name}")

    def start(self, *bootstraps: str) -> None:
        self.launch(*bootstraps)
        self.wait_ready()

    @property
    def out(self) -> Path:
        return self.directory.path / "out"

    @property
    def log(self) -> Path:
        return self.directory.path / "log"

    @property
    def address(self) -> str:
        return str(self.ready["addresses"][0])

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def events(self) -> list[Event]:
        """What it has said on standard output, whole lines only."""
        text = self.out.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def words(self) -> str:
        """What it has logged, for a failing test's message."""
        return self.log.read_text(errors="replace")[-3000:]

    def send(self, number: signal.Signals) -> None:
        """A signal to the node's process alone."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code, when it has ended by itself."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it at once, whatever state it is in."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def memory(self) -> int:
        """Bytes that the process itself occupies (its workers not counted)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))

    def work_done(self) -> int:
        """Clock ticks that its workers have spent computing."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        ticks = 0
        for child in children:
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks

    def run(self, *arguments: object) -> Ended:
        """A command of this node's user; it finds the running node by its data directory."""
        return hallmark(*arguments, directory=self.directory)

    async def call(self, operation: str, **params: Any) -> Event:
        """An operation through the control socket, without the price of a command's process."""
        result = await call_node(self.directory.socket, operation, params, lambda _: None)
        assert result is not None, f"no node answers: {self.words()}"
        return result


def alive(*, mentioning: str) -> list[str]:
    """The command lines of processes that mention a text and are no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if mentioning in line:
            found.append(line)
    return found
