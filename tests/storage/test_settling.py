"""What a settler may not forget, and may not say: on a real disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import Store, StoreDamaged, bounds, open_store
from storage.settling import Held
from wire.canonical import Amount
from wire.cid import content_hash
from wire.eip712 import Domain
from wire.keys import NodeKey
from wire.settlement import EpochRoot, Payable, SettlementLine, Share, Word, sign_root

KEY = NodeKey(b"\x07" * 32)
DOMAIN = Domain(chain_id=1, contract=b"\x01" * 20)


def payable(i: int, payees: int = 2) -> Payable:
    return Payable(
        receipt=content_hash(b"receipt %d" % i),
        provider=bytes([i % 7]) * 20,
        payer=b"\x02" * 20,
        publisher=b"\x03" * 20,
        royalty_bps=100,
        price=Amount(10**18 + i),
        finished_ms=1_800_000_000_000 + i,
        payees=tuple(bytes([n]) * 20 for n in range(payees)),
    )


def held(i: int, payees: int = 2, since: int = 5) -> Held:
    return Held(payable=payable(i, payees), since_s=since)


def root(i: int, epoch: int = 3) -> EpochRoot:
    return EpochRoot(epoch=epoch, root=bytes([i]) * 32, count=i, total=Amount(i), receipts=bytes(32))


def word(i: int, turn: int, *, signed: bool = False, epoch: int = 3) -> Word:
    made = root(i, epoch)
    return Word(root=made, turn=turn, signed=sign_root(made, KEY, DOMAIN) if signed else None)


def test_receipts_come_back_after_a_restart_and_one_with_more_signers_takes_its_place(path: Path) -> None:
    with open_store(path) as store:
        assert store.settling.put([(held(i), b"file %d" % i) for i in range(3)]) == [True] * 3
        assert store.settling.put([(held(1, payees=3), b"better")]) == [True]
    with open_store(path) as store:
        found = {one.payable.receipt: one for one in store.settling.held()}
        assert found == {one.payable.receipt: one for one in (held(0), held(1, payees=3), held(2))}
        assert store.settling.file(payable(1).receipt) == b"better"
        assert store.settling.file(payable(9).receipt) is None
        store.settling.forget([payable(1).receipt])
        assert store.settling.file(payable(1).receipt) is None
        assert len(store.settling.held()) == 2


def test_a_full_settler_takes_no_more_but_a_better_one_of_what_it_has(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_TO_SETTLE", 2)
    assert store.settling.put([(held(i), b"x") for i in range(3)]) == [True, True, False]
    assert store.settling.put([(held(0, payees=3), b"y"), (held(5), b"z")]) == [True, False]


def test_a_damaged_receipt_is_an_error_and_is_not_counted_among_the_held(store: Store) -> None:
    store.settling.put([(held(0), b"x"), (held(1), b"y")])
    digest = payable(0).receipt
    for name in ("held", "to_settle"):
        table = store._environment.table(name)
        store._environment.write(lambda txn, table=table: txn.put(digest, bytes(40), db=table))  # type: ignore[misc]
    assert [one.payable for one in store.settling.held()] == [payable(1)]
    with pytest.raises(StoreDamaged, match="to be settled"):
        store.settling.file(digest)


def test_what_was_signed_is_there_after_a_restart_and_no_other_root_can_be(path: Path) -> None:
    versions = [content_hash(b"%d" % i) for i in range(5000)]
    with open_store(path) as store:
        assert store.settling.say(word(1, 0), versions)
        assert store.settling.say(word(1, 0, signed=True), versions)
    with open_store(path) as store:
        assert store.settling.word(3) == (word(1, 0, signed=True), tuple(versions))
        assert not store.settling.say(word(2, 9), versions)
        assert not store.settling.say(word(2, 9, signed=True), versions)
        assert not store.settling.say(word(1, 9), versions)  # it would forget that it signed
        assert store.settling.say(word(1, 9, signed=True), versions)
        assert store.settling.say(word(2, 0, signed=True, epoch=4), versions)
        store.settling.cancelled(root(2))
        assert not store.settling.say(word(2, 10, signed=True), versions)
        store.settling.cancelled(root(1))
        assert store.settling.word(3) is None
        assert store.settling.say(word(2, 10, signed=True), versions)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.booleans()), max_size=12), st.integers(0, 10**6))
def test_whatever_is_said_no_two_roots_are_signed_and_none_agreed_in_one_turn(
    store: Store, words: list[tuple[int, int, bool]], epoch: int
) -> None:
    signed: set[int] = set()
    agreed: dict[int, int] = {}
    for i, turn, with_signature in words:
        if store.settling.say(word(i, turn, signed=with_signature, epoch=epoch), []):
            if with_signature:
                signed.add(i)
            else:
                assert agreed.setdefault(turn, i) == i
                assert turn == max(agreed)
    store.settling.cancelled(root(0, epoch))
    for i in range(4):
        store.settling.cancelled(root(i, epoch))
    assert len(signed) <= 1


def test_a_damaged_word_says_so_and_nothing_more_is_signed(store: Store) -> None:
    store.settling.say(word(1, 0), [])
    table = store._environment.table("epoch_words")
    store._environment.write(lambda txn: txn.put((3).to_bytes(8, "big"), bytes(80), db=table))
    with pytest.raises(StoreDamaged, match="What this settler said of epoch 3"):
        store.settling.word(3)
    with pytest.raises(StoreDamaged):
        store.settling.say(word(2, 5, signed=True), [])


def test_lines_come_back_in_their_order_and_old_epochs_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_EPOCH_LINES", 2)
    lines, before = [], 0
    for i in range(4):
        amount = 2**100 + i
        lines.append(
            SettlementLine(
                index=i, account=bytes([i]) * 20, role=Share.PROVIDER, receipt=bytes([i]) * 32, amount=Amount(amount),
                sum_before=Amount(before),
            )
        )  # fmt: skip
        before += amount
    for epoch in (3, 4, 5):
        store.settling.keep_lines(root(1, epoch), lines)
    assert store.settling.lines(5) == (root(1, 5), lines)
    assert store.settling.lines(3) is None
    store.settling.forget_lines(5)
    assert store.settling.lines(5) is None


def test_the_outbox_keeps_a_receipt_until_it_is_taken_and_then_only_its_name(path: Path) -> None:
    digests = [payable(i).receipt for i in range(3)]
    with open_store(path) as store:
        assert store.settling.post({digest: b"file" for digest in digests}, 100) == 0
        assert store.settling.post({digests[0]: b"other"}, 900) == 0
    with open_store(path) as store:
        assert sorted(store.settling.waiting(9)) == sorted(digests)
        assert store.settling.to_hand(digests[0]) == b"file"
        store.settling.taken(digests[:2])
        assert store.settling.waiting(9) == digests[2:]
        assert store.settling.to_hand(digests[0]) is None
        assert sorted(store.settling.handed(9)) == sorted(digests[:2])
        store.settling.settle({digests[0]: 7})
        assert (store.settling.settled_in(digests[0]), store.settling.settled_in(digests[1])) == (7, None)
        assert store.settling.post({digests[0]: b"again"}, 100) == 0
        assert store.settling.waiting(9) == digests[2:]
        assert store.settling.drop(101) == 1
        assert store.settling.handed(9) == store.settling.waiting(9) == []


def test_a_full_outbox_says_how_many_had_no_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_OUTBOX", 2)
    assert store.settling.post({payable(i).receipt: b"x" for i in range(5)}, 1) == 3
    refused = store.settling.waiting(1)
    assert store.settling.drop(0, refused) == 1
    assert len(store.settling.waiting(9)) == 1
