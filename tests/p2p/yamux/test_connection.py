"""The muxer on real sessions: with the library's, cut off, broken and flooded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest
import trio
import trio.testing
from libp2p.stream_muxer.exceptions import (
    MuxedConnUnavailable,
    MuxedStreamClosed,
    MuxedStreamEOF,
    MuxedStreamReset,
)

from p2p import bounds
from p2p.yamux.connection import Yamux
from p2p.yamux.frames import Flag, Header, Kind
from p2p.yamux.machine import NORMAL, PROTOCOL_ERROR
from p2p.yamux.windows import FIRST_WINDOW

from ..muxers import LEFT, MEGABYTE, RIGHT, exactly, muxed, opened, over_tcp, secured, security, serve, there_and_back

# With the library.


@pytest.mark.parametrize(("left", "right"), [(True, True), (True, False), (False, True)])
async def test_megabytes_both_ways_with_the_librarys_muxer(left: bool, right: bool, nursery: trio.Nursery) -> None:
    async with muxed(await over_tcp(), left, right) as (near, far):
        nursery.start_soon(serve, near)
        nursery.start_soon(serve, far)
        for muxer in (near, far):
            await there_and_back(muxer, MEGABYTE * 2)
            async with trio.open_nursery() as at_once:
                for _ in range(20):
                    at_once.start_soon(there_and_back, muxer, b"x" * 5000)


@pytest.mark.parametrize(("left", "right"), [(True, True), (True, False), (False, True)])
async def test_ends_and_resets_with_the_librarys_muxer(left: bool, right: bool) -> None:
    async with muxed(await over_tcp(), left, right) as (near, far):
        for opener, accepter in ((near, far), (far, near)):
            one, other = await opened(opener, accepter)
            await one.write(b"last words")
            await one.close()
            assert await exactly(other, 10) == b"last words"
            with pytest.raises(MuxedStreamEOF):
                await other.read(1)
            await other.write(b"still open")
            assert await exactly(one, 10) == b"still open"
            await other.close()
            with pytest.raises(MuxedStreamEOF):
                await one.read(1)
            one, other = await opened(opener, accepter)
            await one.reset()
            with pytest.raises((MuxedStreamReset, MuxedStreamEOF)):  # the library's calls a reset an end
                await other.read(1)


async def test_the_round_trip_is_measured(autojump_clock: trio.testing.MockClock) -> None:
    async with muxed() as (near, far):
        await trio.sleep(bounds.PING_FIRST + 1)
        assert near._machine._answered
        assert far._machine._answered
        assert autojump_clock.current_time() > 0


# One side's rules.


@pytest.mark.parametrize("resetter", [0, 1])
async def test_a_reset_wakes_readers_and_blocked_writers_on_both_sides(resetter: int) -> None:
    async with muxed() as (near, far):
        writing, reading = await opened(near, far), await opened(near, far)
        woken = 0

        async def expect(action: Callable[[], Awaitable[object]]) -> None:
            nonlocal woken
            with pytest.raises(MuxedStreamReset):
                await action()
            woken += 1

        async with trio.open_nursery() as nursery:
            for writer, reader in zip(writing, reading, strict=True):
                nursery.start_soon(expect, partial(writer.write, bytes(FIRST_WINDOW + 1)))
                nursery.start_soon(expect, partial(reader.read, 1))
            await trio.testing.wait_all_tasks_blocked()
            assert woken == 0
            await writing[resetter].reset()
            await reading[resetter].reset()
        assert woken == 4
        assert near.streams == far.streams == 0


@pytest.mark.parametrize("how", ["close", "reset", "the connection's end"])
async def test_the_peers_end_is_told_to_who_does_not_read(how: str) -> None:
    async with muxed() as (near, far):
        one, other = await opened(near, far)
        told: list[str] = []
        other.on_end(lambda: told.append("end"))
        await one.write(b"not read by anybody")
        await trio.testing.wait_all_tasks_blocked()
        assert told == []
        ends = {"close": one.close, "reset": one.reset, "the connection's end": near.close}
        await ends[how]()
        await trio.testing.wait_all_tasks_blocked()
        assert told == ["end"]
        other.on_end(lambda: told.append("after the end"))  # to come late is to hear it at once
        assert told == ["end", "after the end"]


async def test_who_took_back_its_call_is_told_nothing_and_readers_still_are() -> None:
    async with muxed() as (near, far):
        one, other = await opened(near, far)
        told: list[str] = []
        other.on_end(lambda: told.append("end"))
        other.on_end(None)
        await one.write(b"x")
        assert await other.read(1) == b"x"
        other.on_end(lambda: told.append("end"))
        await one.write(b"y")
        assert await other.read(1) == b"y"
        other.on_end(None)
        await one.reset()
        with pytest.raises(MuxedStreamReset):
            await other.read(1)
        assert told == []


async def test_a_writer_waits_for_a_reader_as_long_as_it_takes(autojump_clock: trio.testing.MockClock) -> None:
    async with muxed() as (near, far):
        one, other = await opened(near, far)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.write, MEGABYTE)
            await trio.sleep(25)  # the library gives up after five
            assert other._flow.inbox.size == FIRST_WINDOW
            assert await exactly(other, len(MEGABYTE)) == MEGABYTE
        assert autojump_clock.current_time() >= 25


async def test_writes_of_two_tasks_stay_whole() -> None:
    async with muxed() as (near, far):
        one, other = await opened(near, far)
        size = FIRST_WINDOW * 2
        async with trio.open_nursery() as nursery:
            for letter in (b"a", b"b", b"c"):
                nursery.start_soon(one.write, letter * size)
            got = await exactly(other, 3 * size)
        assert {got[i * size : (i + 1) * size] for i in range(3)} == {x * size for x in (b"a", b"b", b"c")}


async def test_a_closed_stream_takes_no_more() -> None:
    async with muxed() as (near, far):
        one, _ = await opened(near, far)
        assert one.resting
        await one.close()
        await one.close()
        assert not one.resting
        with pytest.raises(MuxedStreamClosed):
            await one.write(b"x")
        await one.reset()
        with pytest.raises(MuxedStreamReset):
            await one.read(1)
        assert await one.read(0) == b""


async def test_the_257th_stream_waits_until_the_peer_takes_one(nursery: trio.Nursery) -> None:
    async with muxed() as (near, far):
        for _ in range(bounds.BACKLOG):
            await near.open_stream()
        late = trio.Event()

        async def one_more() -> None:
            await near.open_stream()
            late.set()

        nursery.start_soon(one_more)
        await trio.testing.wait_all_tasks_blocked()
        assert not late.is_set()
        await far.accept_stream()
        await late.wait()


# The end of a connection.


@pytest.mark.parametrize("how", ["closed", "cut"])
async def test_the_end_wakes_everybody_and_is_told_once(how: str) -> None:
    async with muxed(await over_tcp()) as (near, far):
        told = []

        async def on_close() -> None:
            told.append("told")
            raise RuntimeError("who was told may fail")

        near.on_close = on_close
        one, other = await opened(near, far)
        async with trio.open_nursery() as nursery:

            async def expect(kind: type[Exception], action: Callable[[], Awaitable[object]]) -> None:
                with pytest.raises(kind):
                    await action()

            nursery.start_soon(expect, MuxedStreamReset, lambda: one.read(1))
            nursery.start_soon(expect, MuxedStreamReset, lambda: one.write(MEGABYTE))
            nursery.start_soon(expect, MuxedConnUnavailable, near.accept_stream)
            await trio.testing.wait_all_tasks_blocked(0.01)
            await (far.close() if how == "closed" else far.secured_conn.close())
        await near.event_closed.wait()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert (near.is_closed, near.is_established, near.streams, told) == (True, False, 0, ["told"])
        with pytest.raises(MuxedConnUnavailable):
            await near.open_stream()
        with pytest.raises(MuxedStreamReset):
            await other.write(b"x")
        await near.close()


async def test_what_was_written_before_a_close_arrives() -> None:
    async with muxed(await over_tcp()) as (near, far):
        one, other = await opened(near, far)
        async with trio.open_nursery() as nursery:

            async def hear() -> None:
                assert await exactly(other, len(MEGABYTE)) == MEGABYTE
                with pytest.raises(MuxedStreamEOF):
                    await other.read(1)

            nursery.start_soon(hear)
            await one.write(MEGABYTE)
            await one.close()
            await near.close()


async def test_a_close_says_goodbye(nursery: trio.Nursery) -> None:
    near, far = await secured(security(True, LEFT), security(True, RIGHT), await over_tcp())
    muxer = Yamux(far, far.get_remote_peer(), False)
    nursery.start_soon(muxer.start)
    await muxer.event_started.wait()
    await muxer.close()
    assert await near.read(12) == Header(Kind.GO_AWAY, 0, 0, NORMAL).encode()
    await near.close()


@pytest.mark.parametrize(
    "frame",
    [
        b"\x07" * 12,
        Header(Kind.WINDOW_UPDATE, Flag.SYN, 0, 0).encode(),
        Header(Kind.WINDOW_UPDATE, Flag.SYN, 2, 0).encode(),
        Header(Kind.DATA, 0, 77, 1).encode(),
        Header(Kind.DATA, Flag.SYN, 1, FIRST_WINDOW + 1).encode(),
    ],
)
async def test_a_broken_rule_ends_the_connection_with_a_goaway(frame: bytes) -> None:
    near, far = await secured(security(True, LEFT), security(True, RIGHT), await over_tcp())
    muxer = Yamux(far, far.get_remote_peer(), False)
    with trio.fail_after(5):
        await near.write(frame)
        await muxer.start()
        assert await near.read(12) == Header(Kind.GO_AWAY, 0, 0, PROTOCOL_ERROR).encode()
    assert muxer.is_closed
    await near.close()


async def test_a_changed_message_ends_the_connection_and_no_other() -> None:
    async with muxed() as (left, right), muxed(await over_tcp()) as (near, far):
        await near.secured_conn._connection.stream.stream.send_all(b"\x00\x20" + bytes(32))
        with trio.fail_after(5):
            await far.event_closed.wait()
            await near.event_closed.wait()
        one, other = await opened(left, right)
        await one.write(b"x")
        assert await other.read(1) == b"x"


async def test_a_peer_that_asks_and_reads_no_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "EMPTY_RATE", 1e9)  # else its questions are not even read as fast as that
    near, far = await secured(security(True, LEFT), security(True, RIGHT), await over_tcp())
    muxer = Yamux(far, far.get_remote_peer(), False)
    pings = Header(Kind.PING, Flag.SYN, 0, 1).encode() * 5000
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(muxer.start)
            with suppress(Exception):
                while not muxer.is_closed:
                    await near.write(pings)
            await muxer.event_closed.wait()
    assert far.queued <= bounds.SEND_QUEUE_MOST


async def test_six_hundred_quick_reconnections() -> None:
    for turn in range(600):
        async with muxed(await over_tcp() if turn % 10 == 0 else None) as (near, far):
            one, other = await opened(*((near, far) if turn % 2 else (far, near)))
            await one.write(b"hello")
            assert await exactly(other, 5) == b"hello"
            await (near if turn % 3 else far).close()


async def test_a_small_write_passes_those_that_wait_for_room_within_a_bound(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001 — pytest-trio finds it among the arguments
) -> None:
    async with muxed() as (left, right):
        near, _ = await opened(left, right)
        session = left._session
        session._pending += bytes(bounds.SEND_QUEUE + 1)  # the peer takes nothing more for now
        with trio.move_on_after(0.05) as scope:
            await near.write(bytes(bounds.SMALL_WRITE + 1))
        assert scope.cancelled_caught
        before = session.queued
        await near.write(b"an answer")
        assert session.queued > before
        session._pending += bytes(bounds.SEND_QUEUE)
        with trio.move_on_after(0.05) as scope:
            await near.write(b"an answer")
        assert scope.cancelled_caught
