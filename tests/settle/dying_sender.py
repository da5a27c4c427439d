"""Sends a payment and kills itself on the way: `python -m tests.settle.dying_sender URL STORE MOMENT`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import trio

from settle.deploy import open_bare
from settle.sender import Sender
from storage import open_store
from tests.settle.town import account


class Dying(Sender):
    """One that dies when its transaction is written down, or right after it was told."""

    async def _tell(self, machine, entry) -> None:  # type: ignore[no-untyped-def]
        if sys.argv[3] == "told":
            await super()._tell(machine, entry)
        print("dies", flush=True)  # noqa: T201
        os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    """Never returns."""
    with open_store(Path(sys.argv[2])) as store:
        async with open_bare([sys.argv[1]], 0) as chain, trio.open_nursery() as nursery:
            sender = Dying(chain, account(0), store.transactions)
            nursery.start_soon(sender.run)
            await sender.transfer("pay", bytes([0xAB] * 20), 5)


if __name__ == "__main__":
    trio.run(main)
