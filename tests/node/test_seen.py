"""Pulls and calls: each counted once, for the right model, and written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.bounds import COUNT_EVERY, MAX_COUNTED_PULLS
from node.seen import Tally, keep_counts, write_counts
from storage import Store, StoreFull, open_store
from tests.storage.made import manifest, model_of
from tests.verify.scenes import NOW

GRAPH, WEIGHTS = b"g" * 32, b"w" * 32
HOUR = 60 * 60 * 1000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


def seen(store: Store, model: bytes) -> tuple[int, int]:
    found = store.seen.get(model)
    return found.pulls, found.calls


def test_a_peer_counts_once_an_hour() -> None:
    tally = Tally()
    for peer_id, now in (("a", NOW), ("a", NOW + 1), ("b", NOW), ("a", NOW + HOUR), ("a", NOW + HOUR + 1)):
        tally.pulled(GRAPH, peer_id, now)
    assert tally.take() == ({GRAPH: 3}, {})
    assert tally.take() == ({}, {})
    tally.pulled(GRAPH, "a", NOW + HOUR + 2)  # it was counted, whenever that was taken
    assert tally.take() == ({}, {})


def test_a_crowd_of_peers_cannot_fill_the_memory() -> None:
    tally = Tally()
    for number in range(MAX_COUNTED_PULLS + 10):
        tally.pulled(GRAPH, str(number), NOW)
    assert tally.take()[0] == {GRAPH: MAX_COUNTED_PULLS}
    tally.pulled(GRAPH, "late", NOW + HOUR)
    assert tally.take()[0] == {GRAPH: 1}


async def test_a_pull_is_that_of_the_newest_model_with_this_graph(store: Store) -> None:
    old, new = model_of(GRAPH, WEIGHTS, created_ms=1), model_of(GRAPH, WEIGHTS, created_ms=2, description="mended")
    other = model_of(WEIGHTS, GRAPH, name="other")
    for signed in (old, new, other):
        store.models.put(signed)
    tally = Tally()
    tally.pulled(GRAPH, "a", NOW)
    tally.pulled(b"of nothing here" + bytes(17), "a", NOW)
    for _ in range(3):
        tally.called(old.model)
    await write_counts(tally, store)
    assert [seen(store, signed.model) for signed in (old, new, other)] == [(0, 3), (1, 0), (0, 0)]
    await write_counts(tally, store)
    assert seen(store, new.model) == (1, 0)


async def test_counts_are_written_every_minute(
    store: Store, autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed, written, add = manifest(), trio.Event(), store.seen.add

    def noting(counts: Mapping[bytes, tuple[int, int]]) -> None:
        add(counts)
        trio.from_thread.run_sync(written.set)

    monkeypatch.setattr(store.seen, "add", noting)
    store.models.put(signed)
    tally, began = Tally(), autojump_clock.current_time()
    nursery.start_soon(keep_counts, tally, store)
    tally.called(signed.model)
    await written.wait()
    assert autojump_clock.current_time() - began >= COUNT_EVERY
    assert seen(store, signed.model) == (0, 1)
    nursery.cancel_scope.cancel()


async def test_a_full_disk_loses_counts_and_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: object) -> None:
        raise StoreFull("The disk is full.")

    signed = manifest()
    store.models.put(signed)
    tally = Tally()
    tally.called(signed.model)
    with monkeypatch.context() as patched:
        patched.setattr(store.seen, "add", full)
        await write_counts(tally, store)
    assert "The disk is full." in caplog.text
    tally.called(signed.model)
    await write_counts(tally, store)
    assert seen(store, signed.model) == (0, 1)
