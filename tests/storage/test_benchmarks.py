from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage import Store, bounds, open_store
from tests.verify import benchmarks as made
from wire.canonical import encode
from wire.errors import RecordError


def file(measured_ms: int, model: bytes = made.MODEL, *, countersigned: bool = False) -> bytes:
    return encode(made.file(made.benchmark(measured_ms=measured_ms, model=model), countersigned=countersigned))


def test_they_come_back_after_a_restart_the_newest_first(path: Path) -> None:
    with open_store(path) as store:
        for time in (5, 300, 70):
            store.benchmarks.put(file(time))
    with open_store(path) as store:
        assert store.benchmarks.of(made.MODEL) == [file(300), file(70), file(5)]
        assert store.benchmarks.of(made.MODEL, limit=1) == [file(300)]
        assert store.benchmarks.of(bytes(32)) == []


def test_a_countersignature_that_came_later_replaces_the_file(store: Store) -> None:
    name = store.benchmarks.put(file(1))
    assert store.benchmarks.put(file(1, countersigned=True)) == name
    assert store.benchmarks.of(made.MODEL) == [file(1, countersigned=True)]


def test_beyond_its_bounds_the_oldest_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_BENCHMARKS_OF_MODEL", 2)
    monkeypatch.setattr(bounds, "MAX_BENCHMARKS", 3)
    for time in (4, 5, 6):
        store.benchmarks.put(file(time))
    assert store.benchmarks.of(made.MODEL) == [file(6), file(5)]
    other = b"\1" * 32
    store.benchmarks.put(file(1, other))
    store.benchmarks.put(file(9, other))
    assert store.benchmarks.of(other) == [file(9, other)]
    assert store.benchmarks.of(made.MODEL) == [file(6), file(5)]


def test_what_is_no_benchmark_is_not_kept(store: Store) -> None:
    for garbage in (b"", b"\x80", encode(made.SCENE.file)):
        with pytest.raises(RecordError):
            store.benchmarks.put(garbage)


def test_a_damaged_one_hides_no_other(store: Store) -> None:
    store.benchmarks.put(file(1))
    store.benchmarks.put(file(2))
    table = store._environment.table("benchmarks")

    def spoil(txn: Any) -> None:
        cursor = txn.cursor(table)
        assert cursor.last()
        txn.put(bytes(cursor.key()), bytes(cursor.value())[:-1] + b"?", db=table)

    store._environment.write(spoil)
    assert store.benchmarks.of(made.MODEL) == [file(1)]
