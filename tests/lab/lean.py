"""Lean peers as the laboratory holds them: started on a machine, asked, killed and started again."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, TypeVar

from tests.node.processes.running import ROOT, _die_with_parent, environment
from wire.keys import NodeKey

from .peer import Settings
from .routers import PORT
from .world import Machine

T = TypeVar("T")

EVERYWHERE = (f"/ip4/0.0.0.0/tcp/{PORT}",)
PATIENCE = 60.0  # seconds, for an answer that nothing here should take so long for


class Trouble(Exception):
    """What a lean peer was asked for did not come about."""


class Silent(Trouble):
    """It did not answer at all."""


class Lean:
    """A lean peer on a machine."""

    def __init__(self, machine: Machine, logs: Path, **settings: Any) -> None:
        key = NodeKey.generate()
        self.machine, self.peer_id = machine, key.peer_id
        self.settings = Settings(secret=key.secret.hex(), **{"listen": EVERYWHERE} | settings)
        self._log = logs / f"{self.peer_id[-8:]}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._ready = threading.Event()
        self._number = 0

    @property
    def address(self) -> str:
        """Whole, for a peer on a public machine."""
        return f"{self.machine.address}/p2p/{self.peer_id}"

    def launch(self) -> Lean:
        """Start the process; `wait` for its first word."""
        self._ready.clear()
        with self.machine.network.inside(), self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.lab.peer", json.dumps(asdict(self.settings))],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return self

    def wait(self) -> Lean:
        """Return once it runs."""
        deadline = time.monotonic() + PATIENCE
        while not self._ready.wait(0.2):
            if self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
                continue
            raise Trouble(f"a peer on {self.machine.name} did not start: {self.words()}")
        return self

    def ask(self, do: str, *, within: float = PATIENCE, **what: Any) -> dict[str, Any]:
        """Its answer. Trouble when it gives an error, or none in time."""
        return self.begin(do, **what)(within)

    def begin(self, do: str, **what: Any) -> Callable[[float], dict[str, Any]]:
        """Ask now; what is returned waits for the answer, that many seconds."""
        stdin = self._stdin()
        self._number += 1
        answer = self._answers[self._number] = queue.SimpleQueue()
        try:
            stdin.write(json.dumps({"id": self._number, "do": do} | what).encode() + b"\n")
            stdin.flush()
        except OSError as error:
            raise Trouble(f"the peer on {self.machine.name} has ended: {self.words()}") from error

        def wait(within: float = PATIENCE) -> dict[str, Any]:
            try:
                got = answer.get(timeout=within)
            except queue.Empty:
                self._signal(signal.SIGUSR1)  # where it is, into its log
                raise Silent(f"{do} on {self.machine.name}: no answer within {within:.0f} s") from None
            if "error" in got:
                raise Trouble(f"{do} on {self.machine.name}: {got['error']}{got.get('trace', '')}")
            return got

        return wait

    def status(self) -> dict[str, Any]:
        return self.ask("status")

    def way_to(self, other: Lean) -> str:
        """`direct`, `relayed`, or empty when it is not connected with the other."""
        status = self.status()["peers"].get(other.peer_id)
        return "" if status is None else "relayed" if status["relayed"] else "direct"

    def kill(self) -> None:
        """End it at once, as a machine that loses its power does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """End it in order."""
        self._stdin().close()
        try:
            self._running().wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Trouble(f"the peer on {self.machine.name} did not end within 15 s") from None

    def pause(self, on: bool) -> None:
        """Stop its process where it is, or let it go on."""
        self._signal(signal.SIGSTOP if on else signal.SIGCONT)

    def words(self) -> str:
        """What it has logged, the last of it."""
        return self._log.read_text(errors="replace")[-3000:]

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not launched"
        return self._process

    def _stdin(self) -> IO[bytes]:
        stdin = self._running().stdin
        assert stdin is not None
        return stdin

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self._running().pid, number)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            if "ready" in said:
                self._ready.set()
            elif (answer := self._answers.pop(said["id"], None)) is not None:
                answer.put(said)


def wait_for(probe: Callable[[], T], what: str, seconds: float) -> tuple[T, float]:
    """The first result of `probe` that is true, and how long that took. Trouble with `what` when none is in time."""
    began = time.monotonic()
    while not (found := probe()):
        if time.monotonic() - began > seconds:
            raise Trouble(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)
    return found, time.monotonic() - began
