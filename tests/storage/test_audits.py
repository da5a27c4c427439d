"""What verifiers said of answers: counted by provider and model, bounded, and praise never pushes a dispute out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Store, bounds, open_store
from storage.audits import AuditRecord, Checked
from storage.verification import Verification
from wire.cid import content_hash

PROVIDER, OTHER = b"\1" * 20, b"\2" * 20
MODEL, TWIN = content_hash(b"model"), content_hash(b"twin")


def word(
    number: int, *, agreed: bool = True, auditor: int = 0, provider: bytes = PROVIDER, model: bytes = MODEL
) -> Checked:
    receipt = content_hash(number.to_bytes(8, "big"))
    return Checked(provider, model, receipt, bytes([2, auditor]) + bytes(31), agreed, 1000 + number)


def test_a_record_counts_answers_disputes_and_verifiers(store: Store) -> None:
    words = [word(1), word(1, auditor=1), word(2, auditor=1), word(3, agreed=False, auditor=2), word(4, model=TWIN)]
    assert store.audits.put(words) == 5
    assert store.audits.record(PROVIDER, MODEL) == AuditRecord(3, 1, 3, 1001, 1003)
    assert store.audits.record(PROVIDER, MODEL).agreed == 2
    assert store.audits.record(PROVIDER) == AuditRecord(4, 1, 3, 1001, 1003)
    assert store.audits.record(OTHER) == AuditRecord(0, 0, 0, 0, 0)


def test_an_answer_that_one_disputed_counts_as_disputed(store: Store) -> None:
    store.audits.put([word(1), word(1, auditor=1, agreed=False)])
    assert store.audits.record(PROVIDER, MODEL) == AuditRecord(1, 1, 2, 1001, 1001)


def test_the_same_word_counts_once_and_a_second_one_changes_nothing(store: Store) -> None:
    assert store.audits.put([word(1), word(1)]) == 1
    assert store.audits.known(word(1))
    assert store.audits.put([word(1, agreed=False)]) == 0
    assert store.audits.record(PROVIDER, MODEL) == AuditRecord(1, 0, 1, 1001, 0)


def test_it_outlives_the_process(path: Path) -> None:
    with open_store(path) as store:
        store.audits.put([word(1)])
    with open_store(path) as store:
        assert store.audits.record(PROVIDER, MODEL).checked == 1


def test_praise_never_pushes_a_dispute_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_AUDITS_OF_ONE", 4)
    store.audits.put([word(1, agreed=False), *(word(n) for n in range(2, 40))])
    assert store.audits.record(PROVIDER, MODEL) == AuditRecord(4, 1, 1, 1001, 1001)
    store.audits.put([word(n, agreed=False) for n in range(100, 104)])
    assert store.audits.record(PROVIDER, MODEL) == AuditRecord(4, 4, 1, 1100, 1103)


def test_a_crowd_takes_bounded_room_and_the_oldest_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_AUDITS", 10)
    store.audits.put([word(1)])
    store.audits.put([word(n, provider=n.to_bytes(20, "big")) for n in range(2, 12)])
    assert store.audits.record(PROVIDER, MODEL).checked == 0
    with store._environment.read() as txn:
        for table in ("audits", "audit_order"):
            assert txn.stat(store._environment.table(table))["entries"] == 10


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.booleans()), max_size=30))
def test_the_two_tables_always_tell_of_the_same(words: list[tuple[int, int, bool]]) -> None:
    with TemporaryDirectory() as place, open_store(Path(place) / "store") as store:
        for number, auditor, agreed in words:
            store.audits.put([word(number, auditor=auditor, agreed=agreed)])
        first: dict[tuple[int, int], bool] = {}
        for number, auditor, agreed in words:
            first.setdefault((number, auditor), agreed)
        answers = {number for number, _ in first}
        disputed = {number for (number, _), agreed in first.items() if not agreed}
        record = store.audits.record(PROVIDER, MODEL)
        assert (record.checked, record.disputed) == (len(answers), len(disputed))
        with store._environment.read() as txn:
            keys = {bytes(k) for k, _ in txn.cursor(store._environment.table("audits"))}
            assert keys == {bytes(v) for _, v in txn.cursor(store._environment.table("audit_order"))}


def test_a_damaged_word_does_not_count_and_is_found(store: Store) -> None:
    store.audits.put([word(1), word(2)])

    def damage(txn: Any) -> None:
        table = store._environment.table("audits")
        stored = bytearray(txn.get(word(1).key, db=table))
        stored[-1] ^= 1
        txn.put(word(1).key, bytes(stored), db=table)

    store._environment.write(damage)
    assert store.audits.record(PROVIDER, MODEL).checked == 1
    *_, last = Verification(store._environment, store.blobs).steps()
    assert last.audits == 1
