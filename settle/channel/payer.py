"""A payer's side of one channel: what it owes, what it signs, and whom it believes. A machine without I/O.

It owes the prices of the answers whose proof it accepted. A voucher covers these and the next step of each answer that
is under way; an answer that does not hold leaves no trace in the next one. A provider's word that it charged more is
believed only up to a voucher that this payer signed itself, and only when the end of an answer is not known (the link
was lost, or this process is new); after that, through restarts too, not again until it has given a proved answer.
"""

from __future__ import annotations

from msgspec.structs import replace

from wire.books import Deposit, PayerBook
from wire.canonical import Amount
from wire.eip712 import Domain
from wire.payment import Owed, Voucher

from ..amounts import show_amount
from .faults import Disputed, NotCovered


class Purchase:
    """One answer under way: it may cost up to `ceiling`, vouchers grow by up to `step`, and cover `covered` of it."""

    def __init__(self, ceiling: int, step: int) -> None:
        self.ceiling = ceiling
        self.step = step
        self.covered = min(ceiling, step)


class Payer:
    """One channel. Each purchase that `begin` gives ends with `accept`, `reject` or `lose`."""

    def __init__(self, book: PayerBook, domain: Domain) -> None:
        """`book` as it was kept; `domain` is the channel's `payment_domain`."""
        self.book = book
        self.domain = domain
        self.id = book.config.id(domain)
        self._open: set[Purchase] = set()
        self._unsure = not book.paid_on_trust  # a new process does not know how the last one's answers ended

    @property
    def outstanding(self) -> int:
        """What the answers under way are covered with."""
        return sum(purchase.covered for purchase in self._open)

    @property
    def left(self) -> int:
        """What of the deposit nobody has a claim to, nor will have when the answers under way cost all they may."""
        return max(0, self.book.deposit.most - self.book.owed - self._may_cost)

    @property
    def _may_cost(self) -> int:
        return sum(purchase.ceiling for purchase in self._open)

    def see(self, deposit: Deposit) -> None:
        """What the chain says of the channel. What was claimed is owed, but for what answers under way will add."""
        if deposit.block >= self.book.deposit.block:
            owed = max(self.book.owed, deposit.claimed - self._may_cost)
            self.book = replace(self.book, deposit=deposit, owed=Amount(owed))

    def begin(self, ceiling: int, step: int) -> Purchase:
        """An answer that may cost up to `ceiling`, paid in steps of at most `step`. NotCovered by the deposit."""
        if ceiling < 0 or step <= 0:
            raise ValueError("a price below nothing, or steps that lead nowhere")
        if ceiling > self.left:
            text = f"the channel has {show_amount(self.left)} left, the answer may cost {show_amount(ceiling)}"
            raise NotCovered(text, ceiling - self.left)
        purchase = Purchase(ceiling, step)
        self._open.add(purchase)
        return purchase

    def voucher(self) -> Voucher:
        """What is signed now: all that is owed, and what the answers under way are covered with."""
        amount = self.book.owed + self.outstanding
        if amount > self.book.signed:
            self.book = replace(self.book, signed=Amount(amount))
        return Voucher(channel=self.id, amount=Amount(amount))

    def answer(self, purchase: Purchase, said: Owed, used: int, spare: int | None = None) -> Voucher:
        """The voucher for a provider that says it needs more, when so much of the answer has come as costs `used`.

        Disputed when it asks for more than the next step, or counts charges that this payer has no reason to believe,
        or that it believes only up to `spare` at this time.
        """
        self._check(purchase)
        purchase.covered = max(purchase.covered, min(purchase.ceiling, used + purchase.step))
        if said.needed <= self.book.owed + self.outstanding:
            self._check_deposit(self.book.owed + self.outstanding)
            return self.voucher()
        held = said.held
        mine = held is not None and held.voucher.channel == self.id
        if held is None or not mine or not held.is_signed(self.book.config.payer_authorizer, self.domain):
            asked = f"it asks for vouchers of {show_amount(said.needed)} in all"
            raise Disputed(f"{asked}, and shows none that this payer signed")
        if not self._unsure or said.needed > held.voucher.amount + purchase.covered:
            owed = self.book.owed + self.outstanding
            asked = f"it asks for vouchers of {show_amount(said.needed)} in all"
            raise Disputed(f"{asked}; the proved answers and this one are {show_amount(owed)}")
        others = self._may_cost - purchase.ceiling  # they may be among what it charged, and are owed once accepted
        owed = max(self.book.owed, min(said.charged, held.voucher.amount) - others)
        amount = max(said.needed, owed + self.outstanding)
        if spare is not None and (more := amount - self.book.owed - self.outstanding) > spare:
            asked = f"it counts {show_amount(more)} for an answer that never came"
            raise Disputed(f"{asked}, and this question has {show_amount(spare)} left for that")
        self._check_deposit(amount)
        self._unsure = False
        trusted = self.book.paid_on_trust or owed > self.book.owed
        signed = max(self.book.signed, amount, held.voucher.amount)
        self.book = replace(self.book, owed=Amount(owed), signed=Amount(signed), paid_on_trust=trusted)
        return Voucher(channel=self.id, amount=Amount(amount))

    def accept(self, purchase: Purchase, price: int) -> None:
        """Its answer is proved: its price is owed. ValueError over what it may cost."""
        self._check(purchase)
        if not 0 <= price <= purchase.ceiling:
            raise ValueError(f"a price of {price}, at most {purchase.ceiling} was allowed")
        self._open.discard(purchase)
        self._unsure = False
        self.book = replace(self.book, owed=Amount(self.book.owed + price), paid_on_trust=False)

    def reject(self, purchase: Purchase) -> None:
        """Its answer does not hold: nothing is owed for it, whatever its provider says."""
        self._check(purchase)
        self._open.discard(purchase)

    def lose(self, purchase: Purchase) -> None:
        """How it ended is not known: its provider may have sent what never came."""
        self.reject(purchase)
        self._unsure = self._unsure or not self.book.paid_on_trust

    def _check_deposit(self, amount: int) -> None:
        if amount > self.book.deposit.most:
            text = f"vouchers of {show_amount(amount)} in all are more than the deposit"
            raise NotCovered(text, amount - self.book.deposit.most)

    def _check(self, purchase: Purchase) -> None:
        if purchase not in self._open:
            raise ValueError("that purchase is over")
