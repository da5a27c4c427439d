"""Sending a transaction for somebody who watches: what it waits for is told while it waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from settle.chain import Chain, Done, Sender

from ..control import Emit

TOLD_EVERY = 1.0  # seconds between two looks at how deep it is


async def carry(
    chain: Chain, sender: Sender, purpose: str, what: str, emit: Emit, send: Callable[[], Awaitable[Done]]
) -> Done:
    """Run `send`, which sends under `purpose`, and tell how deep the transaction is whenever that changes."""

    async def tell() -> None:
        told: int | None = -1
        while True:
            await trio.sleep(TOLD_EVERY)
            depth = sender.depth(purpose)
            if depth != told:
                told, wanted = depth, chain.spec.confirmations
                text = "waits for a block" if depth is None else f"has {min(depth, wanted)} of {wanted} confirmations"
                emit({"event": "waiting", "purpose": purpose, "depth": depth, "text": f"{what} {text}"})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell)
        try:
            return await send()
        finally:
            nursery.cancel_scope.cancel()
