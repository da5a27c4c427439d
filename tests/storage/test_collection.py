"""Collecting garbage, alone and among others who write."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from storage import Collected, Store, StoreDamaged, StoreError, bounds, open_store
from wire.bounds import CHUNK
from wire.cid import content_hash
from wire.manifest import SignedManifest

from .made import manifest, model_of, piece


def add(store: Store, *numbers: int) -> bytes:
    """A blob of these pieces."""
    return store.blobs.add(io.BytesIO(b"".join(piece(n) for n in numbers))).hash()


def collected(store: Store, *, dry_run: bool = False) -> Collected:
    return list(store.collection(dry_run=dry_run))[-1]


def chunks(store: Store) -> int:
    return store.blobs.statistics().chunks


def test_what_a_removed_model_had_alone_is_freed_and_what_it_shared_stays(store: Store) -> None:
    first, second = add(store, 1, 2, 2, 3), add(store, 3, 4)
    one, two = model_of(first), model_of(second, name="other")
    store.models.put(one)
    store.models.put(two)
    assert collected(store) == Collected(seen=4, total=4)
    store.models.remove(one.model)
    assert collected(store) == Collected(blobs=1, chunks=2, size=2 * CHUNK, seen=4, total=4)
    assert store.blobs.outline(first) is None
    assert store.blobs.complete(second)
    assert [store.chunk(content_hash(piece(n))) is not None for n in (1, 2, 3, 4)] == [False, False, True, True]
    store.models.remove(two.model)
    assert collected(store).chunks == 2
    assert (chunks(store), store.blobs.statistics().outlines) == (0, 0)


def test_a_blob_that_two_models_name_stays_until_both_are_gone(store: Store) -> None:
    blob = add(store, 1)
    models = [model_of(blob, name=name) for name in ("one", "two")]
    for model in models:
        store.models.put(model)
    store.models.remove(models[0].model)
    assert collected(store).chunks == 0
    store.models.remove(models[1].model)
    assert collected(store).chunks == 1


def test_a_dry_run_counts_and_frees_nothing(store: Store) -> None:
    blob = add(store, 1, 2)
    assert collected(store, dry_run=True) == Collected(blobs=1, chunks=2, size=2 * CHUNK, seen=2, total=2)
    assert store.blobs.complete(blob)


def test_chunks_that_no_blob_names_are_freed(store: Store) -> None:
    store.blobs.put_chunks([(content_hash(piece(n)), piece(n)) for n in range(3)])
    assert collected(store).chunks == 3
    assert chunks(store) == 0


def test_what_is_held_stays_until_it_is_released(store: Store) -> None:
    blob = add(store, 1, 2)
    hold = store.blobs.hold([blob])
    assert collected(store).blobs == 0
    assert store.blobs.complete(blob)
    hold.release()
    hold.release()
    assert collected(store).blobs == 1


def test_a_held_add_stays_though_no_manifest_names_it_yet(store: Store) -> None:
    hold = store.blobs.hold([])
    outline = store.blobs.add(io.BytesIO(piece(1) + piece(2)), hold=hold)
    assert collected(store).chunks == 0
    store.models.put(model_of(outline.hash()))
    hold.release()
    assert collected(store).chunks == 0
    assert store.blobs.complete(outline.hash())


def test_an_add_under_way_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection runs from end to end between two of its batches, when no outline names the first."""
    monkeypatch.setattr(bounds, "BATCH", 1)
    store.blobs.put_chunks([(content_hash(piece(9)), piece(9))])
    outline = store.blobs.add(
        io.BytesIO(piece(1) + piece(9) + piece(2)), lambda done: collected(store) and None if done else None
    )
    assert store.blobs.complete(outline.hash())


@pytest.mark.parametrize("after", range(12))
def test_a_pull_that_begins_in_mid_collection_loses_nothing(
    store: Store, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chunks lie there as garbage: whichever step was the last, what it was told is here is here at the end."""
    monkeypatch.setattr(bounds, "GC_BATCH", 1)
    outline = store.blobs.add(io.BytesIO(b"".join(piece(n) for n in range(4))))
    steps = store.collection()
    for _ in range(after):
        next(steps, None)
    with_hold = store.blobs.hold([outline.hash()])
    if store.outline(outline.hash()) is None:
        store.blobs.put_outline(outline)
    missing = store.missing(outline)
    for _ in range(2):
        next(steps, None)
    store.blobs.put_chunks([(outline.chunk(i), piece(i)) for i in missing])
    list(steps)
    store.models.put(model_of(outline.hash()))
    with_hold.release()
    collected(store)
    assert store.blobs.complete(outline.hash())


def test_a_manifest_put_in_mid_collection_keeps_what_it_names(store: Store) -> None:
    """The models were read already, the outlines not yet."""
    blob = add(store, 1)
    store.models.put(manifest())  # gives the collection a step before the outlines
    steps = store.collection()
    next(steps)
    store.models.put(model_of(blob))
    list(steps)
    assert store.blobs.complete(blob)


def test_what_arrives_in_mid_collection_is_left_for_the_next(store: Store) -> None:
    store.models.put(manifest())
    steps = store.collection()
    next(steps)
    blob = add(store, 1)
    assert list(steps)[-1].chunks == 0
    assert store.blobs.complete(blob)
    assert collected(store).chunks == 1


def test_one_collection_at_a_time(store: Store) -> None:
    store.models.put(manifest())
    steps = store.collection()
    next(steps)
    with pytest.raises(StoreError, match="already"):
        collected(store)
    steps.close()  # type: ignore[attr-defined]  # an abandoned one is a generator that was closed
    assert collected(store) == Collected()


def test_many_shards_free_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "GC_MARKED", 4)
    monkeypatch.setattr(bounds, "GC_BATCH", 3)
    kept = [piece(n, 100) for n in range(40)]
    outlines = [store.blobs.add(io.BytesIO(data)) for data in kept]
    files = tuple(outline.hash() for outline in outlines)
    store.models.put(model_of(*files))
    for n in range(100, 140):
        store.blobs.add(io.BytesIO(piece(n, 100)))
    assert collected(store) == Collected(blobs=40, chunks=40, size=4000, seen=80, total=80)
    assert all(store.blobs.complete(blob) for blob in files)


def spoil_record(store: Store, table_name: str, key: bytes) -> None:
    table = store._environment.table(table_name)

    def work(txn: object) -> None:
        data = bytearray(txn.get(key, db=table))  # type: ignore[attr-defined]  # an LMDB transaction
        data[-1] ^= 1
        txn.put(key, bytes(data), db=table)  # type: ignore[attr-defined]

    store._environment.write(work)


@pytest.mark.parametrize("table", ["models", "outlines"])
def test_what_cannot_be_read_stops_it_before_anything_is_lost(store: Store, table: str) -> None:
    blob = add(store, 1, 2)
    signed = model_of(blob)
    store.models.put(signed)
    spoil_record(store, table, signed.model if table == "models" else blob)
    with pytest.raises(StoreDamaged):
        collected(store)
    assert chunks(store) == 2
    store.models.put(signed)
    add(store, 1, 2)
    assert collected(store).chunks == 0


def test_a_full_store_can_still_be_emptied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "START_MAP", 1 << 20)
    monkeypatch.setattr(bounds, "MAX_MAP", 4 << 20)
    with open_store(path) as store:
        signed: list[SignedManifest] = []

        def fill() -> None:
            for n in range(1000):
                signed.append(model_of(add(store, n), name=f"m{n}"))
                store.models.put(signed[-1])

        with pytest.raises(StoreError, match="hallmark store gc"):
            fill()
        for model in signed:
            store.models.remove(model.model)
        assert collected(store).chunks >= len(signed) - 1
        assert chunks(store) == 0
        store.models.put(manifest())  # LMDB gives freed pages out again two transactions later
        assert store.blobs.complete(add(store, 1))


async def test_writers_take_their_turn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "GC_BATCH", 1)
    for n in range(20):
        add(store, n)
    order: list[str] = []

    async def write() -> None:
        for n in range(100, 105):
            await store.put_chunks([(content_hash(piece(n)), piece(n))])
            order.append("write")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        freed = await store.collect(lambda _: order.append("step"))
    assert freed.chunks >= 20
    assert "write" in order[: order.index("step") + 12]
    assert store.blobs.statistics().outlines == 0


async def test_two_at_once_wait_for_each_other_and_a_cancelled_one_leaves_no_trace(store: Store) -> None:
    blob = add(store, 1)
    with trio.CancelScope() as scope:
        await store.collect(lambda _: scope.cancel())
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.collect)
        nursery.start_soon(store.collect)
    assert chunks(store) == 0
    async with store.holding([blob]):
        add(store, 1)
        assert (await store.collect()).chunks == 0
    assert (await store.collect()).chunks == 1


NUMBERS = 120


def kept_of(numbers: range) -> list[int]:
    return [n for n in numbers if n % 3 == 0]


def collect_for_ever(path: str) -> None:
    """A child's: garbage comes and goes for ever, and every model that was put is acknowledged."""
    bounds.GC_BATCH = 4
    with open_store(Path(path)) as store:
        for n in range(100_000):
            signed = model_of(add(store, n % NUMBERS, 1000 + n), name=f"m{n}")
            store.models.put(signed)
            if n % NUMBERS % 3:
                store.models.remove(signed.model)
            if n % 8 == 7:
                list(store.collection())
            print(n, flush=True)  # noqa: T201  # the acknowledgement


@pytest.mark.parametrize("acknowledged", [9, 23, 40])
def test_a_killed_collection_leaves_every_model_whole(path: Path, acknowledged: int) -> None:
    call = f"from tests.storage import test_collection as t; t.collect_for_ever({str(path)!r})"
    child = subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(acknowledged):
        assert child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    said = acknowledged + len(child.stdout.readlines())
    child.wait()
    child.stdout.close()
    with open_store(path) as store:
        for _ in range(2):  # as the kill left it, and after the next collection
            names = [f"m{n}" for n in range(said) if n % NUMBERS % 3 == 0]
            for name in names:
                signed = store.models.find(name)
                assert signed is not None
                assert not any(state.blobs for state in store.states() if state.model == signed.model)
            collected(store)
        needed = {n % NUMBERS for n in range(said + 1)} | {1000 + n for n in range(said + 1)}
        assert chunks(store) <= len(needed)
        assert collected(store).chunks == 0
