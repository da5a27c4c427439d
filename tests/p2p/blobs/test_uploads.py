"""Turns of those who fetch from us: fair between peers, bounded in number, in rate and in the time they may take."""

# ruff: noqa: ARG001 — pytest-trio finds the clock among a test's arguments
from __future__ import annotations

from collections import Counter

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from p2p import bounds
from p2p.blobs.protocol import serve_blobs
from p2p.blobs.uploads import Budget, Turns, Uploads
from p2p.serving import Server
from p2p.streams import Channel
from wire.blob import AskChunks
from wire.bounds import CHUNK
from wire.errors import RemoteError

from ..pairs import channel_pair
from .made import OUTLINE, Store


def test_one_who_asks_much_gets_no_more_than_one_who_asks_little() -> None:
    turns = Turns()
    owner = {turns.ask("greedy"): "greedy" for _ in range(1000)}
    owner |= {turns.ask("modest"): "modest" for _ in range(20)}
    served = Counter[str]()
    for _ in range(20):
        begun = turns.begin(0.0)
        served.update(owner[ticket] for ticket in begun)
        for ticket in begun:
            turns.end(owner[ticket])
    assert served["modest"] == 20
    assert served["greedy"] <= 20 * bounds.UPLOADS_PER_PEER


def test_the_next_turn_goes_around() -> None:
    turns = Turns(rate=bounds.PIECE)  # one a second
    owner = {turns.ask(peer): peer for peer in "aaabbc"}
    order = []
    for second in range(6):
        (ticket,) = turns.begin(float(second))
        assert turns.begin(second + 0.9) == []
        order.append(owner[ticket])
        turns.end(owner[ticket])
    assert order == ["a", "b", "c", "a", "b", "a"]


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["ask", "begin", "end", "withdraw"])), max_size=200)
)
def test_turns_are_bounded_and_none_is_lost(steps: list[tuple[str, str]]) -> None:
    turns = Turns()
    waiting: dict[int, str] = {}
    running: list[str] = []
    for peer, what in steps:
        mine = [ticket for ticket, owner in waiting.items() if owner == peer]
        if what == "ask":
            waiting[turns.ask(peer)] = peer
        elif what == "begin":
            running += [waiting.pop(ticket) for ticket in turns.begin(0.0)]
        elif what == "end" and peer in running:
            running.remove(peer)
            turns.end(peer)
        elif what == "withdraw" and mine:
            del waiting[mine[0]]
            turns.withdraw(peer, mine[0])
        assert all(n <= bounds.UPLOADS_PER_PEER for n in Counter(running).values())
    while waiting or running:
        running += [waiting.pop(ticket) for ticket in turns.begin(0.0)]
        assert running  # whoever waits gets a turn
        for peer in running:
            turns.end(peer)
        running = []


async def test_the_rate_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    uploads = Uploads(rate=4 * bounds.PIECE)
    began = trio.current_time()

    async def send(peer: str) -> None:
        for _ in range(4):
            async with uploads.turn(peer):
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for peer in "ab":
            nursery.start_soon(send, peer)
    assert 1.5 < trio.current_time() - began < 2.5  # eight pieces, four a second


async def test_the_rate_counts_the_bytes_that_are_sent(autojump_clock: trio.testing.MockClock) -> None:
    uploads, began = Uploads(rate=4 * bounds.PIECE), trio.current_time()
    for _ in range(9):  # the first is the burst
        async with uploads.turn("a") as sends:
            sends(4 * bounds.PIECE)  # as an outline may
    assert 7.0 <= trio.current_time() - began <= 9.0
    for _ in range(100):
        async with uploads.turn("a") as sends:
            sends(0)  # what was not here costs nothing
    assert trio.current_time() - began <= 9.0


@given(st.integers(1, 10**9), st.lists(st.tuples(st.floats(0, 5), st.integers(0, 4 * bounds.PIECE)), max_size=60))
def test_no_time_holds_more_than_the_burst_the_rate_and_one_turn(rate: int, steps: list[tuple[float, int]]) -> None:
    budget, now, sent, most = Budget(rate), 0.0, 0, 0
    for pause, size in steps:
        now += pause
        if budget.wait(now) == 0:
            budget.spend(size)
            sent, most = sent + size, max(most, size)
        burst = max(bounds.PIECE, rate * bounds.UPLOAD_BURST)
        assert sent <= burst + rate * now + most + 1
    wait = budget.wait(now)
    assert budget.wait(now + wait + 1e-3) == 0


def test_without_a_rate_nothing_waits() -> None:
    budget = Budget(None)
    budget.spend(1 << 60)
    assert budget.wait(0.0) == 0


def test_while_an_answer_is_in_hand_chunks_go_one_by_one_and_not_at_once() -> None:
    turns = Turns()
    for peer in "abcdef":
        turns.ask(peer)
    turns.answers = 1
    assert len(turns.begin(0.0)) == 1
    assert turns.wait(0.0) is None  # somebody has to end first
    turns.end("a")
    assert turns.begin(0.0) == []
    assert turns.wait(0.0) == pytest.approx(bounds.UPLOAD_REST)
    assert len(turns.begin(bounds.UPLOAD_REST)) == 1  # never starved either
    turns.end("b")
    turns.answers = 0
    assert len(turns.begin(bounds.UPLOAD_REST)) == 4


async def test_uploads_go_on_when_the_last_answer_is_over(autojump_clock: trio.testing.MockClock) -> None:
    uploads, done = Uploads(first=("infer",)), list[float]()

    async def send(peer: str) -> None:
        async with uploads.turn(peer):
            await trio.sleep(0.001)
        done.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        with uploads.beside("infer"), uploads.beside("catalogue"):
            for peer in "abcd":
                nursery.start_soon(send, peer)
            await trio.sleep(bounds.UPLOAD_REST / 2)
            assert len(done) == 1
        # no answer is in hand any more
    assert len(done) == 4
    assert max(done) < bounds.UPLOAD_REST


async def test_exchanges_of_those_protocols_are_what_uploads_give_way_to(nursery: trio.Nursery) -> None:
    uploads, entered = Uploads(first=("infer",)), trio.Event()

    async def slow(channel: Channel) -> None:
        await channel.receive(AskChunks, timeout=5)
        entered.set()
        await trio.sleep_forever()

    left, right = channel_pair()
    nursery.start_soon(Server(uploads).serve, "infer", slow, right)
    await trio.testing.wait_all_tasks_blocked()
    assert uploads._turns.answers == 0  # a stream at rest is no exchange
    await left.send(AskChunks(hashes=(OUTLINE.chunk(0),)))
    await entered.wait()
    assert uploads._turns.answers == 1
    nursery.cancel_scope.cancel()


async def test_a_turn_cancelled_while_waiting_or_running_is_given_back(nursery: trio.Nursery) -> None:
    uploads = Uploads()

    async def hold() -> None:
        async with uploads.turn("a"):
            await trio.sleep_forever()

    for _ in range(3):
        async with trio.open_nursery() as inner:
            for _ in range(2 * bounds.UPLOADS_PER_PEER):
                inner.start_soon(hold)
            await trio.testing.wait_all_tasks_blocked()
            inner.cancel_scope.cancel()
    with trio.fail_after(1):
        async with uploads.turn("a"):
            pass


async def test_who_does_not_take_what_it_asked_for_loses_its_turn(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    left, right = channel_pair()

    async def stuck(_: bytes) -> None:
        await trio.sleep_forever()

    await left.send(AskChunks(hashes=(OUTLINE.chunk(0),)))
    right._stream.write = stuck  # type: ignore[method-assign]  # a peer that reads nothing
    began = trio.current_time()
    with pytest.raises(RemoteError):
        await serve_blobs(right, Store(full=True), Uploads())
    assert trio.current_time() - began <= bounds.UPLOAD_TIMEOUT + CHUNK / bounds.MIN_RATE + 1
    assert not right.usable
