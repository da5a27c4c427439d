"""The journal of transactions: what was put is there after a crash, each account's apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Store, StoreDamaged, bounds, open_store

WHOSE, OTHER = b"\1" * 52, b"\1" * 51
names = st.text(max_size=20)


def test_what_is_put_is_got_again_also_later(path: Path) -> None:
    with open_store(path) as store:
        store.transactions.put(WHOSE, "pay", b"first")
        store.transactions.put(WHOSE, "pay", b"second")
        store.transactions.put(OTHER, "pay", b"other")
    with open_store(path) as store:
        assert store.transactions.get(WHOSE, "pay") == b"second"
        assert store.transactions.get(WHOSE, "paying") is None
        assert store.transactions.all(WHOSE) == [b"second"]
        assert store.transactions.all(b"\1" * 50) == []


def test_accounts_are_apart_whatever_the_purposes(store: Store) -> None:
    @given(st.dictionaries(st.tuples(st.sampled_from([b"a", b"ab", b"abc"]), names), st.binary(max_size=9), max_size=8))
    def holds(entries: dict[tuple[bytes, str], bytes]) -> None:
        for (whose, purpose), data in entries.items():
            store.transactions.put(whose, purpose, data)
        for (whose, purpose), data in entries.items():
            assert store.transactions.get(whose, purpose) == data
            assert data in store.transactions.all(whose)

    holds()


def test_what_is_too_large_is_refused(store: Store) -> None:
    for whose, purpose, data in (
        (WHOSE, "x" * (bounds.MAX_PURPOSE + 1), b""),
        (b"", "pay", b""),
        (b"\1" * (bounds.MAX_WHOSE + 1), "pay", b""),
        (WHOSE, "pay", bytes(bounds.MAX_JOURNAL_ENTRY + 1)),
    ):
        with pytest.raises(ValueError, match="bytes"):
            store.transactions.put(whose, purpose, data)
    store.transactions.put(b"\1" * bounds.MAX_WHOSE, "x" * bounds.MAX_PURPOSE, bytes(bounds.MAX_JOURNAL_ENTRY))


def test_a_flipped_bit_is_noticed(store: Store) -> None:
    store.transactions.put(WHOSE, "pay", b"entry")
    table = store._environment.table("transactions")

    def flip(txn) -> None:  # type: ignore[no-untyped-def]
        cursor = txn.cursor(table)
        cursor.first()
        key, value = bytes(cursor.key()), bytearray(cursor.value())
        value[-1] ^= 1
        txn.put(key, bytes(value), db=table)

    store._environment.write(flip)
    with pytest.raises(StoreDamaged, match="journal"):
        store.transactions.get(WHOSE, "pay")
    with pytest.raises(StoreDamaged, match="journal"):
        store.transactions.all(WHOSE)
