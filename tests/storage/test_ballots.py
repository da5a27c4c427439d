from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage import Store, StoreDamaged, StoreFull, bounds, open_store

ONE, TWO = b"\1" * 32, b"\2" * 32


def test_a_ballot_comes_back_after_a_restart(path: Path) -> None:
    with open_store(path) as store:
        assert store.ballots.get(ONE) is None
        store.ballots.put(ONE, b"committed", 1000)
        store.ballots.put(ONE, b"judged", 2000)
    with open_store(path) as store:
        assert store.ballots.get(ONE) == b"judged"


def test_prune_forgets_what_has_expired_and_nothing_else(store: Store) -> None:
    store.ballots.put(ONE, b"one", 1000)
    store.ballots.put(TWO, b"two", 1001)
    store.ballots.put(b"\3" * 32, b"three", 500)
    store.ballots.put(b"\3" * 32, b"three", 2000)  # its first expiry must be forgotten
    assert store.ballots.prune(999) == 0
    assert store.ballots.prune(1000) == 1
    assert store.ballots.get(ONE) is None
    assert store.ballots.get(TWO) == b"two"
    assert store.ballots.prune(1999) == 1
    assert store.ballots.get(b"\3" * 32) == b"three"


def test_the_bounds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_BALLOTS", 1)
    store.ballots.put(ONE, bytes(bounds.MAX_BALLOT), 1000)
    with pytest.raises(ValueError, match="bound"):
        store.ballots.put(ONE, bytes(bounds.MAX_BALLOT + 1), 1000)
    store.ballots.put(ONE, b"again", 1000)
    with pytest.raises(StoreFull):
        store.ballots.put(TWO, b"two", 1000)
    assert store.ballots.get(ONE) == b"again"
    store.ballots.prune(1000)
    store.ballots.put(TWO, b"two", 2000)


def test_a_damaged_ballot_is_never_sent(store: Store) -> None:
    store.ballots.put(ONE, b"accept", 1000)
    table = store._environment.table("ballots")

    def spoil(txn: Any) -> None:
        txn.put(ONE, bytes(txn.get(ONE, db=table)).replace(b"accept", b"reject"), db=table)

    store._environment.write(spoil)
    with pytest.raises(StoreDamaged):
        store.ballots.get(ONE)
