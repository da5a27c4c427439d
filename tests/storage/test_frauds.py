"""Fraud files on disk: whole, a few of each culprit, and no kind's crowd pushes out another's."""

from __future__ import annotations

import pytest

from storage import Store, StoreDamaged, bounds
from storage.frauds import Kept
from storage.verification import Verification
from wire.cid import content_hash
from wire.fraud import MAX_FRAUD_FILE


def kept(number: int, *, kind: int = 1, culprit: int = 0, at: int | None = None) -> Kept:
    digest = content_hash(f"{kind} {culprit} {number}".encode())
    return Kept(digest, kind, bytes([culprit]) * 20, number if at is None else at)


def test_a_file_comes_back_as_it_was_and_is_listed(store: Store) -> None:
    assert store.frauds.put(kept(2), b"evidence")
    assert store.frauds.put(kept(1, kind=3), b"more")
    assert store.frauds.put(kept(1), b"older")
    assert store.frauds.get(kept(2).digest) == b"evidence"
    assert store.frauds.all() == [kept(1), kept(2), kept(1, kind=3)]
    assert store.frauds.get(bytes(32)) is None
    assert store.frauds.get(b"") is None


def test_the_same_fraud_is_kept_once(store: Store) -> None:
    assert store.frauds.put(kept(1), b"first")
    assert not store.frauds.put(kept(1, at=9), b"second")
    assert store.frauds.get(kept(1).digest) == b"first"
    assert store.frauds.all() == [kept(1)]


def test_of_one_culprit_a_few_are_enough(store: Store) -> None:
    done = [store.frauds.put(kept(n), b"x") for n in range(6)]
    assert done == [True] * bounds.MAX_FRAUDS_OF_ONE + [False] * 2
    assert store.frauds.put(kept(1, kind=2), b"x")
    assert store.frauds.put(kept(1, culprit=1), b"x")


def test_a_kinds_crowd_pushes_out_its_own_oldest_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_FRAUDS", 3)
    store.frauds.put(kept(0, kind=1), b"a verifier's")
    for n in range(20):
        assert store.frauds.put(kept(n, kind=3, culprit=n), b"a crowd's")
    assert store.frauds.all() == [kept(0, kind=1), *(kept(n, kind=3, culprit=n) for n in (17, 18, 19))]
    assert store.frauds.get(kept(0, kind=3).digest) is None
    assert store.frauds.get(kept(0, kind=1).digest) == b"a verifier's"


def test_one_can_be_removed(store: Store) -> None:
    store.frauds.put(kept(1), b"x")
    assert store.frauds.remove(kept(1).digest)
    assert not store.frauds.remove(kept(1).digest)
    assert store.frauds.all() == []


def test_a_file_over_the_bound_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="the bound is"):
        store.frauds.put(kept(1), bytes(MAX_FRAUD_FILE + 1))


def test_a_damaged_file_is_an_error_and_is_counted(store: Store) -> None:
    store.frauds.put(kept(1), b"evidence")
    table = store._environment.table("frauds")
    store._environment.write(lambda txn: txn.put(kept(1).digest, bytes(32) + b"evidence", db=table))
    with pytest.raises(StoreDamaged, match="The fraud file"):
        store.frauds.get(kept(1).digest)
    *_, last = Verification(store._environment, store.blobs).steps()
    assert last.frauds == 1
