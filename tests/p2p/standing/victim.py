"""A host in a process of its own, so that its memory can be looked at while strangers attack it.

Run as `python -m tests.p2p.standing.victim HELD`: the bytes that all connections may hold. It serves `echo`, and a
protocol whose handler never reads. For each line of its standard input it says what it takes, in JSON; it ends with it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol

from p2p import bounds, open_host
from wire.keys import NodeKey

from ..hosts import LOOPBACK, NETWORK, echo
from .strangers import RANGES

SINK = TProtocol("/test/sink")


async def _never_read(stream: INetStream) -> None:
    over = trio.Event()
    stream.muxed_stream.on_end(over.set)  # type: ignore[attr-defined]  # yamux has it, the interface does not
    await over.wait()


def _taken() -> dict[str, object]:
    """Bytes of memory, files and tasks of this process."""
    return {
        "resident": int(Path("/proc/self/statm").read_text().split()[1]) * 4096,
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "tasks": trio.lowlevel.current_statistics().tasks_living,
    }


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main() -> None:
    bounds.HELD = int(sys.argv[1])
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, ranges=RANGES) as host:
        host.handle("echo", echo)
        host._host.set_stream_handler(SINK, _never_read)
        _say({"address": host.addresses[0]})
        while await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            _say(_taken() | {"held": host._discipline.ledger.total, "refusals": host.refusals()})


if __name__ == "__main__":
    trio.run(main)
