"""Payment channels and what was spent, on disk, and the second place for vouchers."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import Store, StoreDamaged, StoreError, StoreFull, bounds, open_store
from storage.backup import Backup, best, read_backup
from storage.payments import Written
from tests.settle.channel.scenes import CONFIG, DOMAIN, PROVIDER, book, deposit
from wire.books import PayerBook
from wire.canonical import Amount, encode

A, B = b"a" * 32, b"b" * 32
PAYS = PayerBook(config=CONFIG, provider=PROVIDER.public, owed=Amount(7))


def test_what_was_put_is_there_after_a_restart(path: Path) -> None:
    with open_store(path) as store:
        store.payments.put(Written(payees={A: book(5, 3)}, payers={B: PAYS}, spent={(9, b"p" * 20): 12}))
    with open_store(path) as store:
        assert store.payments.payees() == {A: book(5, 3)}
        assert store.payments.payers() == {B: PAYS}
        assert store.payments.spent(9) == {(9, b"p" * 20): 12}


def test_a_later_one_replaces_it(store: Store) -> None:
    store.payments.put(Written(payees={A: book(5, 3)}))
    store.payments.put(Written(payees={A: book(9, 8)}))
    assert store.payments.payees() == {A: book(9, 8)}


def test_sums_of_long_ago_go(store: Store) -> None:
    provider = b"p" * 20
    store.payments.put(Written(spent={(5, provider): 1, (6, provider): 2**128}))
    assert store.payments.spent(6) == {(6, provider): 2**128}
    store.payments.put(Written(spent={(6 + bounds.SPENT_DAYS, provider): 3}))
    assert store.payments.spent(0) == {(6, provider): 2**128, (6 + bounds.SPENT_DAYS, provider): 3}


def test_a_voucher_that_rots_on_disk_is_told(store: Store) -> None:
    store.payments.put(Written(payees={A: book(5, 3)}))
    table = store.payments._payees

    def rot(txn) -> None:  # type: ignore[no-untyped-def]
        stored = bytearray(txn.get(A, db=table))
        stored[-1] ^= 1
        txn.put(A, bytes(stored), db=table)

    store.payments._environment.write(rot)
    with pytest.raises(StoreDamaged, match=A.hex()):
        store.payments.payees()


def test_strangers_cannot_fill_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_CHANNELS", 1)
    store.payments.put(Written(payees={A: book(5, 3)}))
    with pytest.raises(StoreFull):
        store.payments.put(Written(payees={B: book(5, 3)}))
    store.payments.put(Written(payees={A: book(6, 3)}))
    assert store.payments.payees() == {A: book(6, 3)}


class TestBackup:
    def test_the_newest_of_each_channel_comes_back(self, tmp_path: Path) -> None:
        file = tmp_path / "elsewhere" / "vouchers"
        backup = Backup(file)
        backup.append([book(5, 3), book(9, 8, deposit(block=4))])
        backup.append([book(6, 9)])
        backup.close()
        found = read_backup(file)
        (one,) = found.books.values()
        assert (one.held.voucher.amount, one.charged, one.deposit.block) == (9, 9, 4)
        assert found.damaged == 0
        assert file.stat().st_mode & 0o777 == 0o600

    def test_one_that_is_worth_less_never_replaces_one_that_is_worth_more(self) -> None:
        assert best(book(9, 8), book(2, 1)) == best(book(2, 1), book(9, 8)) == book(9, 8)

    @pytest.mark.parametrize("cut", [1, 40, 400])
    def test_an_entry_that_was_cut_off_costs_only_itself(self, tmp_path: Path, cut: int) -> None:
        file = tmp_path / "vouchers"
        backup = Backup(file)
        backup.append([book(5, 3)])
        size = file.stat().st_size
        backup.append([book(9, 8)])
        backup.close()
        data = file.read_bytes()
        file.write_bytes(data[: size + cut])
        assert read_backup(file).damaged == cut
        again = Backup(file)  # a provider goes on with it
        again.append([book(7, 7)])
        again.close()
        found = read_backup(file)
        (one,) = found.books.values()
        assert (one.held.voucher.amount, one.charged, found.damaged) == (7, 7, 0)

    @pytest.mark.parametrize("data", [b"\xff" * 100, b"\0\0\0\x00" * 9, b"\0\0\0\x21" + bytes(33), b"\1"])
    def test_what_is_no_backup_gives_nothing(self, tmp_path: Path, data: bytes) -> None:
        file = tmp_path / "vouchers"
        file.write_bytes(data)
        assert read_backup(file).books == {}
        assert read_backup(file).damaged == len(data)

    def test_one_that_has_grown_is_written_anew(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "vouchers"
        backup = Backup(file)
        backup.append([book(n, n) for n in range(50)])
        backup.close()
        before = read_backup(file)
        monkeypatch.setattr(bounds, "MAX_BACKUP", 1000)
        Backup(file).close()
        assert file.stat().st_size < 1000
        assert read_backup(file) == before

    def test_a_place_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot be written"):
            Backup(tmp_path / "file" / "vouchers")
        with pytest.raises(StoreError, match="cannot be read"):
            read_backup(tmp_path / "nothing")


def test_a_book_fits_its_entry() -> None:
    assert len(encode(book(2**128 - 1, 2**128 - 1, deposit(2**128 - 1, claimed=1)))) < 1024
    assert DOMAIN.name == "x402 Batch Settlement"
