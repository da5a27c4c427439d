"""A provider's side of a channel: what it accepts, what covers an answer, and what it charges."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from settle.channel.faults import BadPayment, NotCovered
from settle.channel.payee import check_channel, check_voucher, opened
from wire.canonical import Amount
from wire.payment import ChannelConfig, Payment, SignedVoucher, Voucher, sign_voucher

from .scenes import CONFIG, DOMAIN, ELSEWHERE, MOST, PAYER, STRANGER, TERMS, deposit, payee, voucher


class TestWhatIsAccepted:
    def test_a_channel_to_its_own_till(self) -> None:
        check_channel(CONFIG, PAYER.address, TERMS)
        check_voucher(CONFIG, voucher(5), DOMAIN)

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"payer_authorizer": STRANGER.address}, "another key than the request's"),
            ({"receiver": STRANGER.address}, "somebody else"),
            ({"receiver_authorizer": STRANGER.address}, "another key would claim"),
            ({"token": bytes(20)}, "another token"),
            ({"withdraw_delay": 3599}, "within 3599 s"),
            ({"withdraw_delay": 2**40 - 1}, "withdraw"),
        ],
    )
    def test_no_other_channel(self, changes: dict[str, object], why: str) -> None:
        config: ChannelConfig = replace(CONFIG, **changes)
        with pytest.raises(BadPayment, match=why):
            check_channel(config, PAYER.address, TERMS)

    @pytest.mark.parametrize(
        "bad",
        [
            voucher(5, STRANGER),
            sign_voucher(Voucher(channel=CONFIG.id(DOMAIN), amount=Amount(5)), PAYER, ELSEWHERE),
            sign_voucher(Voucher(channel=CONFIG.id(ELSEWHERE), amount=Amount(5)), PAYER, ELSEWHERE),
            voucher(5, config=replace(CONFIG, salt=b"\1" * 32)),
            SignedVoucher(voucher=Voucher(channel=CONFIG.id(DOMAIN), amount=Amount(6)), signature=voucher(5).signature),
            SignedVoucher(voucher=voucher(5).voucher, signature=bytes(65)),
        ],
        ids=["another key", "another chain", "another chain's channel", "another channel", "raised", "no signature"],
    )
    def test_no_other_voucher(self, bad: SignedVoucher) -> None:
        with pytest.raises(BadPayment):
            check_voucher(CONFIG, bad, DOMAIN)

    def test_what_was_claimed_by_lost_books_was_charged(self) -> None:
        made = opened(Payment(channel=CONFIG, voucher=voucher(50)), deposit(claimed=40))
        assert (made.charged, made.held.voucher.amount) == (40, 50)


class TestVouchers:
    def test_a_higher_one_is_kept(self) -> None:
        channel = payee(10)
        assert channel.take(voucher(11))
        assert channel.book.held == voucher(11)

    def test_a_lower_one_takes_nothing_back(self) -> None:
        channel = payee(10)
        assert not channel.take(voucher(9))
        assert channel.book.held == voucher(10)

    def test_one_of_the_same_amount_and_another_signature_changes_nothing(self) -> None:
        channel, other = payee(10), voucher(10).signature
        assert not channel.take(SignedVoucher(voucher=voucher(10).voucher, signature=other[::-1]))
        assert channel.book.held == voucher(10)

    def test_the_same_one_twice_covers_once(self) -> None:
        channel = payee(10)
        assert channel.cover(channel.begin(10), 10, 1.0) is None
        owed = channel.cover(channel.begin(10), 10, 1.0)
        assert owed is not None
        assert (owed.charged, owed.needed) == (0, 20)

    def test_one_that_is_too_small_is_told_what_is_needed(self) -> None:
        channel = payee(25, charged=20)
        owed = channel.cover(channel.begin(10), 10, 1.0)
        assert owed is not None
        assert (owed.charged, owed.needed, owed.held) == (20, 30, voucher(25))


class TestCharges:
    def test_a_delivered_answer_is_charged_once(self) -> None:
        channel = payee(10)
        sale = channel.begin(10)
        channel.cover(sale, 10, 1.0)
        channel.charge(sale, 7)
        assert channel.book.charged == 7
        with pytest.raises(ValueError, match="covered"):
            channel.charge(sale, 3)

    def test_no_certificate_no_charge(self) -> None:
        channel = payee(10)
        sale = channel.begin(10)
        channel.cover(sale, 10, 1.0)
        channel.drop(sale)
        assert channel.book.charged == 0
        assert channel.cover(channel.begin(10), 10, 1.0) is None  # the same voucher pays for the next one

    def test_never_more_than_is_covered(self) -> None:
        channel = payee(10)
        sale = channel.begin(20)
        channel.cover(sale, 10, 1.0)
        with pytest.raises(ValueError, match="10 is covered"):
            channel.charge(sale, 11)

    def test_never_beyond_the_ceiling(self) -> None:
        channel = payee(100)
        with pytest.raises(ValueError, match="cannot cost so much"):
            channel.cover(channel.begin(20), 21, 1.0)

    def test_a_dropped_charge_after_a_charge_is_nothing(self) -> None:
        channel = payee(10)
        sale = channel.begin(10)
        channel.cover(sale, 10, 1.0)
        channel.charge(sale, 10)
        channel.drop(sale)
        assert channel.book.charged == 10

    def test_amounts_at_the_bounds(self) -> None:
        channel = payee(MOST, has=deposit(MOST))
        sale = channel.begin(MOST)
        assert channel.cover(sale, MOST, 1.0) is None
        channel.charge(sale, MOST)
        assert channel.unclaimed == MOST
        with pytest.raises(NotCovered):
            channel.cover(channel.begin(1), 1, 1.0)


class TestDeposits:
    def test_a_voucher_counts_as_far_as_the_deposit(self) -> None:
        channel = payee(100, has=deposit(50))
        assert channel.cover(channel.begin(50), 50, 1.0) is None
        with pytest.raises(NotCovered, match="top it up"):
            channel.cover(channel.begin(1), 1, 1.0)

    def test_what_is_being_withdrawn_does_not_count(self) -> None:
        channel = payee(100, has=deposit(100, withdrawing=60))
        with pytest.raises(NotCovered, match=r"0\.00000000000000006 are being withdrawn"):
            channel.cover(channel.begin(41), 41, 1.0)
        assert channel.cover(channel.begin(40), 40, 1.0) is None

    def test_what_a_withdrawal_took_is_counted_as_lost(self) -> None:
        channel = payee(100, charged=100, has=deposit(100))
        channel.see(deposit(70, block=9), 1.0)
        assert (channel.lost, channel.unclaimed) == (30, 70)

    def test_an_older_block_says_nothing(self) -> None:
        channel = payee(100, has=deposit(100, block=5))
        channel.see(deposit(1, block=4), 1.0)
        assert channel.book.deposit.balance == 100


class TestABlindHour:
    def test_answers_go_on_within_the_risk_limit(self) -> None:
        channel = payee(1000, step=100)
        long_after = 3600.0
        for _ in range(10):
            sale = channel.begin(10)
            assert channel.cover(sale, 10, long_after) is None
            channel.charge(sale, 10)
        with pytest.raises(NotCovered, match="cannot be seen"):
            channel.cover(channel.begin(10), 10, long_after)

    def test_answers_under_way_count_in_it(self) -> None:
        channel = payee(1000, step=15)
        assert channel.cover(channel.begin(10), 10, 3600.0) is None
        with pytest.raises(NotCovered):
            channel.cover(channel.begin(10), 10, 3600.0)

    def test_within_half_the_delay_the_deposit_is_enough(self) -> None:
        channel = payee(1000, step=1)
        assert channel.cover(channel.begin(900), 900, 1800.0) is None

    def test_a_look_ends_it(self) -> None:
        channel = payee(1000, step=5)
        with pytest.raises(NotCovered):
            channel.cover(channel.begin(10), 10, 3600.0)
        channel.see(deposit(block=2), 3600.0)
        assert channel.cover(channel.begin(10), 10, 3601.0) is None
