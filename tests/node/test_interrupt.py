"""Ctrl-C cancels an operation, whatever it is doing, and is told only when all of it is closed."""

from __future__ import annotations

import signal

import pytest
import trio
import trio.lowlevel
import trio.testing

from node.interrupt import interruptible


def run(operation: object) -> object:
    """`interruptible` in a loop of its own, as a command runs it; the handler of signals is left as it was."""
    before = signal.getsignal(signal.SIGINT)
    try:
        return trio.run(interruptible, operation)
    finally:
        assert signal.getsignal(signal.SIGINT) is before


def test_a_result_comes_back() -> None:
    async def operation() -> int:
        await trio.lowlevel.checkpoint()
        return 7

    assert run(operation) == 7


def test_an_error_comes_back_in_a_group() -> None:
    async def operation() -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        run(operation)
    assert caught.group_contains(ZeroDivisionError)


def test_ctrl_c_closes_what_is_open_and_is_told_then() -> None:
    closed = []

    async def operation() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            closed.append(True)

    with pytest.raises(KeyboardInterrupt):
        run(operation)
    assert closed == [True]


def test_ctrl_c_is_not_lost_in_whatever_swallows_the_cancellation_or_fails_in_it() -> None:
    async def swallows() -> str:
        with trio.CancelScope() as scope:
            scope.cancel()
            signal.raise_signal(signal.SIGINT)
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        return "as if it were done"

    async def fails() -> None:
        signal.raise_signal(signal.SIGINT)
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise RuntimeError("closing failed") from None

    for operation in (swallows, fails):
        with pytest.raises(KeyboardInterrupt):
            run(operation)
