"""Server: one handler call an exchange, and nothing that escapes."""

# ruff: noqa: ARG001 — pytest-trio finds the clock among a test's arguments
from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from p2p import bounds
from p2p.serving import Server, sole
from p2p.streams import Channel
from wire.blob import AskOutline
from wire.errors import ErrorCode, RecordError, RemoteError

from .pairs import channel_pair, stream_pair

ASK = AskOutline(blob=bytes(32))


async def echo(channel: Channel) -> None:
    await channel.send(await channel.receive(AskOutline, timeout=5))


async def test_one_stream_serves_many_exchanges_until_it_ends(nursery: trio.Nursery) -> None:
    left, right = channel_pair()
    done = trio.Event()

    async def serve() -> None:
        await Server().serve("echo", echo, right)
        done.set()

    nursery.start_soon(serve)
    for _ in range(5):
        await left.send(ASK)
        assert await left.receive(AskOutline, timeout=1) == ASK
    await left.close()
    await done.wait()


async def test_an_idle_stream_is_ended(autojump_clock: trio.testing.MockClock) -> None:
    left, right = channel_pair()
    began = trio.current_time()
    await Server().serve("echo", echo, right)
    assert trio.current_time() - began == pytest.approx(bounds.IDLE)
    with pytest.raises(RemoteError):
        await left.receive(AskOutline, timeout=1)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (RemoteError(ErrorCode.REFUSED, "no"), ErrorCode.REFUSED),
        (RecordError("Field: wrong"), ErrorCode.BAD_RECORD),
        (ZeroDivisionError("secret inside"), ErrorCode.INTERNAL),
        (ExceptionGroup("nursery", [RemoteError(ErrorCode.NOT_FOUND, "no")]), ErrorCode.NOT_FOUND),
        (ExceptionGroup("nursery", [ValueError(), TypeError()]), ErrorCode.INTERNAL),
    ],
)
async def test_a_failing_handler_answers_and_the_stream_goes_on(
    raised: Exception, code: ErrorCode, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    left, right = channel_pair()
    calls = 0

    async def fail_once(channel: Channel) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await channel.receive(AskOutline, timeout=5)
            raise raised
        await echo(channel)

    with caplog.at_level(logging.ERROR):
        nursery.start_soon(Server().serve, "echo", fail_once, right)
        await left.send(ASK)
        with pytest.raises(RemoteError) as caught:
            await left.receive(AskOutline, timeout=1)
    assert caught.value.code is code
    assert "secret" not in caught.value.message
    assert ("failed" in caplog.text) == (code is ErrorCode.INTERNAL)
    await left.send(ASK)
    assert await left.receive(AskOutline, timeout=1) == ASK
    await left.close()


async def test_garbage_is_told_and_ends_the_stream(nursery: trio.Nursery) -> None:
    near, far = stream_pair()
    left, right = Channel(near, "right"), Channel(far, "left")
    nursery.start_soon(Server().serve, "echo", echo, right)
    await near.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(RemoteError) as caught:
        await left.receive(AskOutline, timeout=1)
    assert caught.value.code is ErrorCode.BAD_FRAME
    assert not await left.waiting(timeout=1)
    await left.close()


async def test_a_handler_that_reads_nothing_is_not_called_for_ever() -> None:
    left, right = channel_pair()
    calls = 0

    async def deaf(_: Channel) -> None:
        nonlocal calls
        calls += 1

    await left.send(ASK)
    await Server().serve("deaf", deaf, right)
    assert calls == 1


async def test_the_stream_over_the_bound_is_told_overloaded(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    server = Server()
    held = [channel_pair() for _ in range(bounds.STREAMS_PER_PROTOCOL)]
    for _, right in held:
        nursery.start_soon(server.serve, "echo", echo, right)
    await trio.testing.wait_all_tasks_blocked()
    left, right = channel_pair()
    await server.serve("echo", echo, right)
    with pytest.raises(RemoteError):  # the reset came before we read: what matters is that it is over
        await left.receive(AskOutline, timeout=1)
    left, right = channel_pair()
    nursery.start_soon(server.serve, "echo", echo, right)
    with pytest.raises(RemoteError) as caught:
        await left.receive(AskOutline, timeout=1)
    assert caught.value.code is ErrorCode.OVERLOADED
    await held[0][0].close()  # one ends, and there is room again
    await trio.testing.wait_all_tasks_blocked()
    left, right = channel_pair()
    nursery.start_soon(server.serve, "echo", echo, right)
    await left.send(ASK)
    assert await left.receive(AskOutline, timeout=1) == ASK
    nursery.cancel_scope.cancel()


def test_sole_finds_the_one_error() -> None:
    inner = ValueError()
    assert sole(ExceptionGroup("a", [ExceptionGroup("b", [inner])])) is inner
    two = ExceptionGroup("a", [inner, TypeError()])
    assert sole(two) is two
