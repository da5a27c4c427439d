"""Ballots reach the disk behind the votes: all of them, many at once, and the last ones when the verifier stops."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from node.keptballots import KeptBallots
from storage import Store, StoreFull, bounds


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


async def test_what_comes_while_the_disk_is_busy_goes_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    written, put_all, busy, free = list[int](), store.ballots.put_all, trio.Event(), threading.Event()

    def slowly(replies: Any) -> int:
        trio.from_thread.run_sync(busy.set)
        assert free.wait(10)
        written.append(len(replies))
        return put_all(replies)

    monkeypatch.setattr(store.ballots, "put_all", slowly)
    kept = KeptBallots(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.run)
        kept.keep(digest(0), b"first", 1000)
        await busy.wait()
        for i in range(1, 100):
            kept.keep(digest(i), b"word %d" % i, 1000)
        kept.keep(digest(0), b"again", 1000)
        free.set()
        nursery.cancel_scope.cancel()
    assert written == [1, 100]
    assert store.ballots.get(digest(0)) == b"again"
    assert all(store.ballots.get(digest(i)) == b"word %d" % i for i in range(1, 100))


async def test_the_last_words_are_written_when_it_stops(store: Store) -> None:
    kept = KeptBallots(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.run)
        await wait_all_tasks_blocked()
        kept.keep(digest(7), b"last", 1000)
        nursery.cancel_scope.cancel()
    assert store.ballots.get(digest(7)) == b"last"


async def test_a_disk_that_takes_no_more_ends_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: Any) -> int:
        raise StoreFull("the disk is full")

    kept = KeptBallots(store)
    kept.keep(digest(1), b"lost", 1000)
    with monkeypatch.context() as patch:
        patch.setattr(store.ballots, "put_all", full)
        await kept._write()
    assert "1 ballots are told until this peer stops, and no longer: the disk is full" in caplog.text
    monkeypatch.setattr(bounds, "MAX_BALLOTS", 1)
    kept.keep(digest(2), b"room", 1000)
    kept.keep(digest(3), b"none", 1000)
    await kept._write()
    assert "there are too many" in caplog.text
    assert [store.ballots.get(digest(i)) for i in (1, 2, 3)] == [None, b"room", None]
