"""Starts a devnet as a process of its own, for tests and the demo, and ends it with whoever started it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from .errors import DevnetError

_START_SECONDS = 60.0
_MAX_LINE = 65536


@dataclass(frozen=True)
class Started:
    """A devnet in another process. `block`: its head when it answered."""

    url: str
    chain_id: int
    faucet: bytes
    block: int
    process: trio.Process


@asynccontextmanager
async def devnet(
    directory: Path, *, port: int = 0, block_time: float = 0.05, idle: float = 5.0, fund: Sequence[bytes] = (),
    cheats: bool = True, behind: int = 0,
) -> AsyncIterator[Started]:  # fmt: skip
    """A devnet in `directory` (made when missing) that answers; it ends with the block, or with this process.

    `fund`: addresses that have ether then. The rest is `serving.Settings`. DevnetError when it does not start.
    """
    command = [sys.executable, "-m", "settle.devnet", "--until-eof", "--dir", str(directory), "--port", str(port)]
    command += ["--block-time", str(block_time), "--idle", str(idle), *(["--cheats"] if cheats else [])]
    command += ["--behind", str(behind)]
    for address in fund:
        command += ["--fund", address.hex()]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        with trio.fail_after(_START_SECONDS):
            ready = await _ready(process)
        yield Started(ready["url"], ready["chain_id"], bytes.fromhex(ready["faucet"][2:]), ready["block"], process)
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()  # it loses nothing: what it acknowledged is on disk
            await process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    await trio.aclose_forcefully(stream)


async def _ready(process: trio.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n") and len(line) < _MAX_LINE:
        piece = await process.stdout.receive_some(_MAX_LINE)
        if not piece:
            raise DevnetError("The devnet ended before it was ready.")
        line += piece
    said: dict[str, Any] = json.loads(line)
    if said["event"] != "ready":
        raise DevnetError(said["message"])
    return said
