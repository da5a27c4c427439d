"""What all connections hold together is bounded, and who holds most gives up first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.stream_muxer.exceptions import MuxedStreamError

from p2p import bounds
from p2p.standing.ledger import Ledger
from p2p.yamux.connection import Yamux
from p2p.yamux.frames import Flag, Header, Kind
from p2p.yamux.windows import Budget, Inbox

from ..muxers import LEFT, MEGABYTE, RIGHT, exactly, in_memory, muxed, opened, secured, security


@dataclass(eq=False)
class Connection:
    """A holder with streams of some sizes."""

    streams: list[int] = field(default_factory=list)
    shed_often: int = 0

    def weight(self) -> int:
        return sum(self.streams)

    def shed(self) -> None:
        self.shed_often += 1
        self.streams.remove(max(self.streams))


@settings(max_examples=60)
@given(
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, bounds.HELD // 4), st.booleans()), max_size=60),
)
def test_no_history_holds_more_than_the_bound_and_nobody_small_gives_way(steps: list[tuple[int, int, bool]]) -> None:
    ledger, connections = Ledger(), [Connection() for _ in range(5)]
    for which, size, read in steps:
        one = connections[which]
        if read and one.streams:
            one.streams.pop()  # which a reader does not say
            continue
        one.streams.append(size)
        before = {id(each): (each.weight(), each.shed_often) for each in connections}
        ledger.weigh(one, one.weight())
        assert sum(each.weight() for each in connections) <= bounds.HELD
        assert ledger.total >= sum(each.weight() for each in connections)
        for each in connections:
            weight, often = before[id(each)]
            if each.shed_often > often:
                assert weight > bounds.HELD / 5


def test_who_has_read_what_came_gives_up_nothing() -> None:
    ledger, reader, other = Ledger(), Connection([bounds.HELD // 2]), Connection()
    ledger.weigh(reader, reader.weight())
    reader.streams = [5]
    other.streams = [3 * bounds.HELD // 4]
    ledger.weigh(other, other.weight())
    assert ledger.shed == 0


def test_a_connection_that_ended_holds_nothing() -> None:
    ledger, one = Ledger(), Connection([5])
    ledger.weigh(one, 5)
    ledger.forget(one)
    ledger.forget(one)
    assert ledger.total == 0


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 40000), st.sampled_from(["add", "take", "clear", "close"])),
        max_size=60,
    )
)
def test_what_is_unread_is_the_sum_of_the_open_inboxes(steps: list[tuple[int, int, str]]) -> None:
    budget = Budget()
    inboxes, closed = [Inbox(budget) for _ in range(3)], set[int]()
    for which, size, step in steps:
        inbox = inboxes[which]
        if step == "add" and which not in closed:
            inbox.add(memoryview(bytes(size)))
        elif step == "take":
            inbox.take(size)
        elif step == "clear":
            inbox.clear()
        elif step == "close" and which not in closed:
            inbox.close()
            closed.add(which)
        assert budget.unread == sum(each.size for n, each in enumerate(inboxes) if n not in closed)


async def test_streams_that_nobody_reads_are_reset_when_memory_is_short_and_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "HELD", 1 << 20)
    ledger = Ledger()
    async with muxed(ledger=ledger) as (attacker, _), muxed(ledger=ledger) as (honest, server):
        near, far = await opened(honest, server)
        await near.write(bytes(100_000))

        async def flood() -> None:
            stream = await attacker.open_stream()
            with suppress(MuxedStreamError):  # it is reset in the middle
                await stream.write(MEGABYTE[: 256 * 1024])

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(flood)
        assert len(await exactly(far, 100_000)) == 100_000
        assert ledger.total <= 1 << 20
        assert ledger.shed >= 12


async def test_a_peer_that_takes_nothing_is_cut_off_when_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HELD", 200_000)
    ledger = Ledger()
    async with muxed(ledger=ledger) as (near, far):
        stream, _ = await opened(near, far)
        far._session._pending += bytes(300_000)  # what the peer does not take
        await stream.write(b"x")
        with trio.fail_after(5):
            await far.event_closed.wait()


async def test_empty_frames_are_read_at_their_rate_only_and_told(autojump_clock: object) -> None:  # noqa: ARG001
    ends = in_memory()
    near, far = await secured(security(True, LEFT), security(True, RIGHT), ends)
    ledger, told = Ledger(), list[str]()
    ledger.flooded = lambda peer, _: told.append(peer)
    muxer = Yamux(far, far.get_remote_peer(), False, ledger=ledger)
    pings = Header(Kind.PING, Flag.SYN, 0, 1).encode() * 5000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(muxer.start)
        began = trio.current_time()
        for _ in range(20):
            await near.write(pings)
        while ends[1].stream.unread:  # noqa: ASYNC110 — until all is read
            await trio.sleep(1)
        assert (
            trio.current_time() - began > (20 * 5000 - bounds.EMPTY_BURST) / bounds.EMPTY_RATE - 4
        )  # what was read last waits
        nursery.cancel_scope.cancel()
    assert len(told) >= 10
    assert set(told) == {str(far.get_remote_peer())}
