"""Ctrl-C ends an operation by cancelling it, so that whatever it holds is closed in order.

Left alone, trio would raise KeyboardInterrupt inside whichever task runs at that moment, and libp2p's services lose an
exception that passes through their end: the operation would then return as if it were done.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")


async def interruptible(operation: Callable[[], Awaitable[T]]) -> T:
    """The operation's result; its errors come in a group. KeyboardInterrupt once it is closed after a Ctrl-C; a second
    one ends the process at once. On the main thread only."""
    stopped = False
    results: list[T] = []

    async def watch(scope: trio.CancelScope) -> None:
        nonlocal stopped
        async for _ in signals:
            stopped = True
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            scope.cancel()

    with trio.open_signal_receiver(signal.SIGINT) as signals:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch, nursery.cancel_scope)
                results.append(await operation())
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup:
            if not stopped:
                raise
    if stopped:
        raise KeyboardInterrupt
    return results[0]
