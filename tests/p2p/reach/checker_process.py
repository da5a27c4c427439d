"""Peers in a process of their own, each in a network of its own, that dial back.

`python -m tests.p2p.reach.checker_process 127.1.0.1 127.2.0.1` prints their addresses, and ends with its input.
"""

from __future__ import annotations

import sys

import trio

from .networks import peers, where


async def main() -> None:
    async with peers(*sys.argv[1:]) as hosts, trio.open_nursery() as nursery:
        sys.stdout.write(" ".join(map(where, hosts)) + "\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)  # type: ignore[call-arg]
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
