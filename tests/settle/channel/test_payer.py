"""A payer's side of a channel: what it signs, what it owes, and whom it believes."""

from __future__ import annotations

import pytest

from settle.channel.faults import Disputed, NotCovered
from settle.channel.payer import Payer
from wire.canonical import Amount
from wire.payment import Owed, SignedVoucher, Voucher, sign_voucher

from .scenes import ELSEWHERE, MOST, PAYER, STRANGER, deposit, payer, voucher


def owed(charged: int, needed: int, held: SignedVoucher | None) -> Owed:
    return Owed(charged=Amount(charged), needed=Amount(needed), held=held)


def settled(channel: Payer, *prices: int) -> None:
    """Answers that were proved."""
    for price in prices:
        purchase = channel.begin(price, price or 1)
        channel.voucher()
        channel.accept(purchase, price)


class TestVouchers:
    def test_one_covers_what_is_owed_and_the_next_step(self) -> None:
        channel = payer()
        settled(channel, 10, 20)
        channel.begin(50, 15)
        assert channel.voucher().amount == 45

    def test_an_answer_that_costs_less_than_its_ceiling_adds_what_it_costs(self) -> None:
        channel = payer()
        purchase = channel.begin(50, 50)
        assert channel.voucher().amount == 50
        channel.accept(purchase, 7)
        channel.begin(10, 10)
        assert channel.voucher().amount == 17

    def test_without_a_proof_the_next_voucher_is_no_higher(self) -> None:
        channel = payer()
        for _ in range(5):
            purchase = channel.begin(10, 10)
            assert channel.voucher().amount == 10
            channel.reject(purchase)
        assert channel.book.owed == 0
        assert channel.book.signed == 10

    def test_answers_side_by_side_are_covered_together(self) -> None:
        channel = payer()
        one, _ = channel.begin(10, 10), channel.begin(20, 20)
        assert channel.voucher().amount == 30
        channel.accept(one, 10)
        assert channel.voucher().amount == 30

    def test_the_deposit_bounds_what_is_begun(self) -> None:
        channel = payer(has=deposit(100, withdrawing=30))
        channel.begin(40, 40)
        with pytest.raises(NotCovered) as refused:
            channel.begin(31, 31)
        assert refused.value.missing == 1
        channel.begin(30, 30)

    def test_a_price_over_the_ceiling_is_never_owed(self) -> None:
        channel = payer()
        purchase = channel.begin(10, 10)
        with pytest.raises(ValueError, match="at most 10"):
            channel.accept(purchase, 11)

    def test_a_purchase_ends_once(self) -> None:
        channel = payer()
        purchase = channel.begin(10, 10)
        channel.accept(purchase, 10)
        with pytest.raises(ValueError, match="over"):
            channel.accept(purchase, 10)
        assert channel.book.owed == 10

    def test_amounts_at_the_bounds(self) -> None:
        channel = payer(has=deposit(MOST))
        purchase = channel.begin(MOST, MOST)
        assert channel.voucher().amount == MOST
        channel.accept(purchase, MOST)
        assert channel.left == 0
        with pytest.raises(NotCovered):
            channel.begin(1, 1)
        channel.begin(0, 1)

    def test_what_was_claimed_is_owed(self) -> None:
        channel = payer()
        channel.see(deposit(claimed=40, block=2))
        assert channel.book.owed == 40

    def test_an_older_block_says_nothing(self) -> None:
        channel = payer()
        channel.see(deposit(5, block=7))
        channel.see(deposit(1000, block=6))
        assert channel.book.deposit.balance == 5


class TestSteps:
    def test_the_next_step_goes_on_from_what_came(self) -> None:
        channel = payer()
        purchase = channel.begin(100, 20)
        assert channel.voucher().amount == 20
        assert channel.answer(purchase, owed(0, 32, voucher(20)), used=12).amount == 32
        assert channel.answer(purchase, owed(0, 100, voucher(32)), used=95).amount == 100

    def test_more_than_a_step_ahead_of_what_came_is_not_signed(self) -> None:
        channel = payer()
        settled(channel, 1)  # so that it is sure
        purchase = channel.begin(100, 20)
        with pytest.raises(Disputed):
            channel.answer(purchase, owed(1, 60, voucher(21)), used=12)

    def test_never_more_than_the_ceiling(self) -> None:
        channel = payer()
        settled(channel, 1)
        purchase = channel.begin(30, 20)
        assert channel.answer(purchase, owed(1, 31, voucher(21)), used=29).amount == 31
        with pytest.raises(Disputed):
            channel.answer(purchase, owed(1, 32, voucher(31)), used=30)


class TestDisagreement:
    def test_a_charge_for_a_rejected_answer_is_not_believed(self) -> None:
        channel = payer()
        settled(channel, 10)
        channel.reject(channel.begin(10, 10))
        purchase = channel.begin(10, 10)
        with pytest.raises(Disputed):
            channel.answer(purchase, owed(20, 30, voucher(20)), used=0)
        assert channel.book.owed == 10

    def test_a_charge_for_an_answer_that_was_lost_is_believed_once(self) -> None:
        channel = payer()
        settled(channel, 10)
        channel.lose(channel.begin(10, 10))
        purchase = channel.begin(10, 10)
        assert channel.answer(purchase, owed(20, 30, voucher(20)), used=0).amount == 30
        assert channel.book.owed == 20
        channel.lose(purchase)
        again = channel.begin(10, 10)
        with pytest.raises(Disputed):
            channel.answer(again, owed(30, 40, voucher(30)), used=0)
        assert channel.book.owed == 20

    def test_a_restart_does_not_make_it_believed_again(self) -> None:
        """A command is a process of its own: each would believe once."""
        channel = payer()
        channel.lose(channel.begin(10, 10))
        channel.answer(channel.begin(10, 10), owed(10, 20, voucher(10)), used=0)
        again = payer(channel.book)
        with pytest.raises(Disputed):
            again.answer(again.begin(10, 10), owed(20, 30, voucher(20)), used=0)
        assert again.book.owed == 10

    def test_a_proved_answer_earns_that_trust_again(self) -> None:
        channel = payer()
        channel.lose(channel.begin(10, 10))
        purchase = channel.begin(10, 10)
        channel.answer(purchase, owed(10, 20, voucher(10)), used=0)
        channel.accept(purchase, 10)
        channel.lose(channel.begin(10, 10))
        assert channel.answer(channel.begin(10, 10), owed(30, 40, voucher(30)), used=0).amount == 40

    def test_a_payer_that_lost_its_books_goes_on_from_its_own_voucher(self) -> None:
        channel = payer()
        purchase = channel.begin(10, 10)
        assert channel.answer(purchase, owed(500, 510, voucher(500)), used=0).amount == 510
        channel.accept(purchase, 10)
        assert channel.book.owed == 510

    def test_no_charge_beyond_its_own_voucher_is_believed(self) -> None:
        channel = payer()
        purchase = channel.begin(10, 10)
        with pytest.raises(Disputed):
            channel.answer(purchase, owed(501, 511, voucher(500)), used=0)
        assert channel.book.owed == 0

    @pytest.mark.parametrize(
        "shown",
        [
            None,
            voucher(500, STRANGER),
            SignedVoucher(voucher=Voucher(channel=b"\1" * 32, amount=Amount(500)), signature=voucher(500).signature),
            sign_voucher(Voucher(channel=payer().id, amount=Amount(500)), PAYER, ELSEWHERE),
        ],
        ids=["none", "another key's", "another channel's", "for another chain"],
    )
    def test_only_a_voucher_of_its_own_is_believed(self, shown: SignedVoucher | None) -> None:
        channel = payer()
        with pytest.raises(Disputed):
            channel.answer(channel.begin(10, 10), owed(500, 510, shown), used=0)
        assert channel.book.owed == 0

    def test_what_it_believes_must_be_in_the_deposit(self) -> None:
        channel = payer(has=deposit(505))
        with pytest.raises(NotCovered):
            channel.answer(channel.begin(10, 10), owed(500, 510, voucher(500)), used=0)

    def test_a_provider_that_asks_for_what_is_signed_already_gets_it(self) -> None:
        channel = payer()
        purchase = channel.begin(10, 10)
        assert channel.answer(purchase, owed(0, 10, None), used=0).amount == 10
        assert channel.book.owed == 0
