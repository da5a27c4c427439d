"""The demonstration's peers: each an operating-system process with its own data directory and identity.

They are children of the demonstration and end with it: asked first, then made to, whatever way it ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from wire.keys import NodeKey
from wire.presence import Role

from ..control import Emit, call_node
from ..datadir import DataDir
from ..errors import CommandError, Exit
from ..keyfile import create_key
from ..listening import LOOPBACK
from ..local import keep_network
from ..networkfile import new_network

START_SECONDS = 60.0  # seven interpreters on two slow cores
STOP_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass
class Member:
    """One peer of the demonstration."""

    name: str
    roles: tuple[str, ...]
    directory: DataDir
    key: NodeKey
    honest: bool = True
    price: int = 0
    flags: tuple[str, ...] = ()  # of serve, beside the usual ones
    process: subprocess.Popen[bytes] | None = None
    addresses: tuple[str, ...] = ()

    async def call(self, operation: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        """Run an operation in this peer's process, through its control socket."""
        result = await call_node(self.directory.socket, operation, params, emit)
        if result is None:
            raise CommandError(Exit.INTERNAL, f"{self.name} does not answer", self.last_words())
        return result

    def last_words(self) -> str:
        """The end of what the process logged."""
        log = self.directory.path / "log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else ""


def assemble(place: Path, cast: Mapping[str, tuple[Role, ...]]) -> tuple[list[Member], DataDir]:
    """Data directories with keys under `place`, of no network yet: peers by name and roles, and a client."""
    members = []
    for name, roles in cast.items():
        directory = DataDir(place / name)
        directory.create()
        members.append(Member(name, roles, directory, create_key(directory.key)))
    client = DataDir(place / "client")
    client.create()
    create_key(client.key)
    return members, client


def gather(place: Path, cast: Mapping[str, tuple[Role, ...]]) -> tuple[list[Member], DataDir]:
    """The same, of a network named demo that has no chain."""
    members, client = assemble(place, cast)
    network = new_network("demo", [m.key.peer_id for m in members if "verifier" in m.roles])
    for directory in [*(m.directory for m in members), client]:
        keep_network(directory, network)
    return members, client


def _die_with_parent() -> None:
    """In the child, before it runs: when the demonstration is killed, the kernel ends its peers.

    The parent is the *thread* that started it, so that must be the main one and none of trio's, which end when idle.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def start(member: Member, bootstraps: Sequence[str]) -> None:
    """Start the process and wait for its ready line; CommandError with its last words when it does not come up."""
    program = ["-m", "node.demo.dishonest"] if not member.honest else ["-m", "node.cli", "serve", "--data-dir"]
    flags = ["--json", "--price", f"{member.price}u", "--listen", LOOPBACK[0], *member.flags]
    for role in member.roles:
        flags += ["--role", role]
    for address in bootstraps:
        flags += ["--bootstrap", address]
    with (member.directory.path / "log").open("wb") as log:
        member.process = subprocess.Popen(  # noqa: ASYNC220  on the main thread, see `_die_with_parent`
            [sys.executable, *program, str(member.directory.path), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the demonstration alone, which then ends its peers in order
            preexec_fn=_die_with_parent,
        )
    assert member.process.stdout is not None
    said = b""
    with trio.move_on_after(START_SECONDS):
        async with trio.lowlevel.FdStream(os.dup(member.process.stdout.fileno())) as output:
            while (ready := _ready(said)) is None and (data := await output.receive_some(65536)):
                said += data
    if ready is None:
        words = said.decode(errors="replace") + member.last_words()
        raise CommandError(Exit.INTERNAL, f"{member.name} did not come up", words)
    member.addresses = tuple(ready["addresses"])


def _ready(said: bytes) -> dict[str, Any] | None:
    """The event `ready` among the whole lines of what a peer has said."""
    for line in said[: said.rfind(b"\n") + 1].splitlines():
        try:
            if (event := json.loads(line))["event"] == "ready":
                return dict(event)
        except (KeyError, TypeError, ValueError):
            continue
    return None


@asynccontextmanager
async def ending(members: Sequence[Member]) -> AsyncIterator[None]:
    """Whatever happens inside, no process is left when this ends."""
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for member in members:
                    if member.process:
                        nursery.start_soon(trio.to_thread.run_sync, _end, member.process)


async def stop(member: Member) -> None:
    """End one member's process."""
    if member.process:
        await trio.to_thread.run_sync(_end, member.process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()  # nothing where it has ended
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
