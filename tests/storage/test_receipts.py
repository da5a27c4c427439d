from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage import Store, StoreDamaged, StoreFull, bounds, open_store
from wire.errors import RecordError

from .made import ALICE, BOB, receipt_file


def test_a_receipt_comes_back_after_a_restart(path: Path) -> None:
    digest, data = receipt_file(1, outputs=bytes(3_000_000))
    with open_store(path) as store:
        assert store.receipts.get(digest) is None
        store.receipts.put(digest, data)
    with open_store(path) as store:
        assert store.receipts.get(digest) == data
        (summary,) = store.receipts.all()
    assert (summary.digest, summary.size, summary.price, summary.tier) == (digest, len(data), 1, "signed")
    assert (summary.payer, summary.provider) == (ALICE.address, BOB.address)


def test_the_last_stored_is_listed_first_and_the_list_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        store.receipts.put(*receipt_file(number))
    assert [summary.price for summary in store.receipts.all()] == [4, 3, 2, 1, 0]
    assert [summary.price for summary in store.receipts.all(2)] == [4, 3]
    assert store.receipts.all(0) == []
    monkeypatch.setattr(bounds, "MAX_LISTED", 3)
    assert len(store.receipts.all(1000)) == 3


def test_a_file_with_more_evidence_replaces_the_one_before(store: Store) -> None:
    store.receipts.put(*receipt_file(1, outputs=b"before"))
    store.receipts.put(*receipt_file(2))
    digest, after = receipt_file(1, outputs=b"after, and longer")
    store.receipts.put(digest, after)
    assert store.receipts.get(digest) == after
    assert [summary.price for summary in store.receipts.all()] == [1, 2]


def test_only_receipt_files_of_that_digest_are_kept(store: Store) -> None:
    digest, data = receipt_file(1)
    for key, value in ((digest, b""), (digest, data[:-1]), (digest, data + b"\0"), (bytes(32), data), (b"", data)):
        with pytest.raises(RecordError):
            store.receipts.put(key, value)
    assert store.receipts.all() == []


def test_remove(store: Store) -> None:
    digest, data = receipt_file(1)
    store.receipts.put(digest, data)
    assert store.receipts.remove(digest)
    assert not store.receipts.remove(digest)
    assert store.receipts.get(digest) is None
    assert store.receipts.all() == []


def test_no_more_receipts_than_the_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_RECEIPTS", 1)
    store.receipts.put(*receipt_file(1))
    store.receipts.put(*receipt_file(1, outputs=b"more"))
    with pytest.raises(StoreFull, match="remove them"):
        store.receipts.put(*receipt_file(2))
    assert store.receipts.get(receipt_file(1)[0]) is not None


def test_a_damaged_receipt_is_reported(store: Store) -> None:
    digest, data = receipt_file(1)
    store.receipts.put(digest, data)
    files, log = store._environment.table("receipts"), store._environment.table("receipt_log")

    def spoil(txn: Any) -> None:
        stored = bytearray(txn.get(digest, db=files))
        stored[100] ^= 1
        txn.put(digest, bytes(stored), db=files)
        txn.put(bytes(8), b"garbage", db=log)

    store._environment.write(spoil)
    with pytest.raises(StoreDamaged, match=digest.hex()):
        store.receipts.get(digest)
    with pytest.raises(StoreDamaged, match="list"):
        store.receipts.all()
