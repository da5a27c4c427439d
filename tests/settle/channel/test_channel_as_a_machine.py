"""Both sides of one channel through losses, crashes and withdrawals: nothing is paid twice, and little is ever lost."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from settle.channel.faults import Disputed, NotCovered
from settle.channel.payee import Payee, Sale, check_voucher
from settle.channel.payer import Payer, Purchase
from wire.payment import Owed, SignedVoucher, Voucher

from .scenes import DOMAIN, book, deposit, payer, signed

MOST = 40  # that one answer may cost
AMOUNTS = st.integers(1, MOST)


@dataclass
class Answer:
    """One under way. `price` is what it will cost."""

    purchase: Purchase
    sale: Sale
    price: int


class Channel(RuleBasedStateMachine):
    """An honest payer and an honest provider over a bad link, each of which may die at any time.

    `delivered`: what the answers cost that the provider sent whole. `proved`: of them, those that the payer checked.
    """

    @initialize(balance=st.integers(0, 1500), step=AMOUNTS)
    def opened(self, balance: int, step: int) -> None:
        self.step = step
        self.chain = deposit(balance)
        self.payer: Payer = payer(has=self.chain)
        self.payee = Payee(book(0, 0, self.chain), DOMAIN, 10**9)
        self.payee.see(self.chain, 0.0)
        self.kept_by_payer, self.kept_by_payee = self.payer.book, self.payee.book
        self.under_way: list[Answer] = []
        self.arriving: list[Answer] = []
        self.delivered = self.proved = 0
        self.lost_by_payee = self.lost_by_payer = 0  # at most what was under way when something broke

    @precondition(lambda self: len(self.under_way) + len(self.arriving) < 3)
    @rule(ceiling=AMOUNTS, part=st.floats(0, 1))
    def ask(self, ceiling: int, part: float) -> None:
        try:
            purchase = self.payer.begin(ceiling, self.step)
        except NotCovered:
            assert ceiling > self.payer.left
            return
        sale = self.payee.begin(ceiling)
        self.payee.take(self._send(self.payer.voucher()))
        if self._covered(purchase, sale, min(ceiling, self.step), 0):
            self.under_way.append(Answer(purchase, sale, int(part * ceiling)))
        else:  # both sides know that there is no answer
            self.payee.drop(sale)
            self.payer.lose(purchase)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 2), proved=st.booleans())
    def answer(self, which: int, proved: bool) -> None:
        """The tokens come step by step, then the answer; its proof arrives, or the link breaks before it does."""
        answer = self.under_way.pop(which % len(self.under_way))
        used = 0
        while used < answer.price:
            used = min(answer.price, used + self.step)
            if not self._covered(answer.purchase, answer.sale, used, used - 1):
                self.payee.drop(answer.sale)
                self.payer.lose(answer.purchase)
                return
        self.kept_by_payee = self.payee.book  # it waits for the disk before an answer leaves
        self.payee.charge(answer.sale, answer.price)
        self.delivered += answer.price
        if proved:
            self.arriving.append(answer)
        else:
            self.payer.lose(answer.purchase)
            self.lost_by_payer += answer.price

    @precondition(lambda self: self.arriving)
    @rule(which=st.integers(0, 2))
    def arrives(self, which: int) -> None:
        """The payer has the proof; its provider counted the answer some time ago."""
        answer = self.arriving.pop(which % len(self.arriving))
        self.payer.accept(answer.purchase, answer.price)
        self.proved += answer.price

    @precondition(lambda self: self.under_way)
    @rule()
    def fails(self) -> None:
        """The model fails, or nobody certifies: neither side counts anything."""
        answer = self.under_way.pop()
        self.payee.drop(answer.sale)
        self.payer.lose(answer.purchase)

    @rule()
    def payer_saves(self) -> None:
        self.kept_by_payer = self.payer.book

    @rule()
    def payee_saves(self) -> None:
        self.kept_by_payee = self.payee.book

    @rule()
    def payer_dies(self) -> None:
        self.payer = payer(self.kept_by_payer)
        for answer in self.under_way:  # the provider sees its link end
            self.payee.drop(answer.sale)
        self.lost_by_payer += sum(answer.price for answer in self.arriving)
        self.under_way.clear()
        self.arriving.clear()

    @rule()
    def payee_dies(self) -> None:
        self.lost_by_payee += self.payee.book.charged - self.kept_by_payee.charged
        self.payee = Payee(self.kept_by_payee, DOMAIN, 10**9)
        self.payee.see(self.chain, 0.0)
        for answer in self.under_way:
            self.payer.lose(answer.purchase)
        self.under_way.clear()

    @rule()
    def payee_claims(self) -> None:
        total = self.chain.claimed + self.payee.unclaimed
        self._happens(claimed=total)

    @rule(amount=AMOUNTS)
    def payer_tops_up(self, amount: int) -> None:
        self._happens(balance=self.chain.balance + amount)

    @invariant()
    def nothing_is_charged_that_no_voucher_covers(self) -> None:
        if hasattr(self, "payee"):
            held = self.payee.book.held.voucher.amount
            assert self.payee.book.charged + sum(a.sale.covered for a in self.under_way) <= held
            assert held <= self.chain.balance

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        if hasattr(self, "payee"):
            assert self.payee.book.charged <= self.delivered
            assert self.payer.book.owed <= self.delivered
            assert self.chain.claimed <= self.delivered

    @invariant()
    def nothing_is_lost_but_what_was_under_way(self) -> None:
        if hasattr(self, "payee"):
            assert self.payee.book.charged >= self.delivered - self.lost_by_payee
            # What the payer signed beyond the answers that it has: those that are under way, or broke.
            signed_for = self.payer.book.signed - self.proved
            assert signed_for <= self.lost_by_payer + 3 * MOST

    def _covered(self, purchase: Purchase, sale: Sale, amount: int, used: int) -> bool:
        try:
            said = self.payee.cover(sale, amount, 1.0)
            if said is not None:
                self.payee.take(self._send(self.payer.answer(purchase, said, used)))
                said = self.payee.cover(sale, amount, 1.0)
        except Disputed:
            # Only where something broke: both were never of another mind before.
            assert self.lost_by_payer or self.lost_by_payee or self.payer.book.signed > self.payer.book.owed
            return False
        except NotCovered:
            return False
        return said is None

    def _send(self, voucher: Voucher) -> SignedVoucher:
        given = signed(voucher)
        check_voucher(self.payee.book.config, given, DOMAIN)
        return given

    def _happens(self, *, balance: int | None = None, claimed: int | None = None) -> None:
        was = self.chain
        self.chain = deposit(
            was.balance if balance is None else balance,
            claimed=was.claimed if claimed is None else claimed,
            block=was.block + 1,
        )
        self.payer.see(self.chain)
        self.payee.see(self.chain, 1.0)


Channel.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestChannel = Channel.TestCase


def test_two_honest_sides_never_disagree_for_long() -> None:
    """After every single break the next question is answered, and afterwards both sides count the same."""
    for breaks in ("payer dies", "link breaks", "payee dies"):
        asks, answers = payer(has=deposit(10_000)), Payee(book(0, 0, deposit(10_000)), DOMAIN, 100)
        answers.see(deposit(10_000), 0.0)

        def exchange(asks: Payer, answers: Payee, price: int, end: str = "proved") -> None:
            purchase, sale = asks.begin(price, price), answers.begin(price)
            answers.take(signed(asks.voucher()))
            said: Owed | None = answers.cover(sale, price, 1.0)
            if said is not None:
                answers.take(signed(asks.answer(purchase, said, 0)))
                assert answers.cover(sale, price, 1.0) is None
            answers.charge(sale, price)
            asks.accept(purchase, price) if end == "proved" else asks.lose(purchase)

        exchange(asks, answers, 30)
        kept = asks.book, answers.book
        exchange(asks, answers, 20, "lost" if breaks == "link breaks" else "proved")
        if breaks == "payer dies":
            asks = payer(kept[0])
        if breaks == "payee dies":
            answers = Payee(kept[1], DOMAIN, 100)
            answers.see(deposit(10_000), 0.0)
        exchange(asks, answers, 10)
        assert asks.book.owed == 60
        assert answers.book.charged == (40 if breaks == "payee dies" else 60)
