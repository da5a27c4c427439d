"""A provider's side of one channel: what covers the next step, and what it charged. A machine without I/O.

Work goes on as far as vouchers cover it, vouchers count as far as the deposit covers them, and an answer is charged
when it was delivered with what proves it, and not otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from wire.books import Deposit, PayeeBook
from wire.canonical import Amount
from wire.eip712 import Domain
from wire.payment import MAX_WITHDRAW_DELAY, ChannelConfig, Owed, Payment, PaymentTerms, SignedVoucher

from ..amounts import show_amount
from .faults import BadPayment, NotCovered


def check_channel(config: ChannelConfig, payer: bytes, terms: PaymentTerms) -> None:
    """BadPayment unless a request of `payer`'s (its address) may be paid from this channel, by these terms of ours."""
    wrong = {
        "it is signed for by another key than the request's": config.payer_authorizer != payer,
        "it pays somebody else": config.receiver != terms.receiver,
        "another key would claim from it": config.receiver_authorizer != terms.receiver_authorizer,
        "it is in another token": config.token != terms.token,
        f"its payer may withdraw within {config.withdraw_delay} s, this provider needs {terms.withdraw_delay} s":
            not terms.withdraw_delay <= config.withdraw_delay <= MAX_WITHDRAW_DELAY,
    }  # fmt: skip
    for why, fault in wrong.items():
        if fault:
            raise BadPayment(f"that payment channel does not do here: {why}")


def check_voucher(config: ChannelConfig, voucher: SignedVoucher, domain: Domain) -> None:
    """BadPayment unless it is this channel's, and its payer's key signed it for this contract on this chain."""
    if voucher.voucher.channel != config.id(domain):
        raise BadPayment("the voucher is for another channel, or for this one on another chain")
    if not voucher.is_signed(config.payer_authorizer, domain):
        raise BadPayment("the voucher is not signed by the channel's key, or not for this chain")


def opened(payment: Payment, deposit: Deposit) -> PayeeBook:
    """The books of a channel that is new here; its voucher was checked.

    What was claimed from it was charged by whoever claimed it: by this provider, in books that it has lost.
    """
    return PayeeBook(config=payment.channel, held=payment.voucher, charged=deposit.claimed, deposit=deposit)


@dataclass(eq=False)
class Sale:
    """One answer under way, and what of its price vouchers cover."""

    ceiling: int
    covered: int = 0


class Payee:
    """One channel. Each sale that `begin` gives ends with `charge` or `drop`. Times are seconds of any one clock."""

    def __init__(self, book: PayeeBook, domain: Domain, step: int) -> None:
        """`step` is the risk limit: what is answered while the chain can't be seen."""
        self.book = book
        self.domain = domain
        self.id = book.config.id(domain)
        self.seen_at = float("-inf")
        self._step = step
        self._open: set[Sale] = set()
        self._blind: int | None = None  # what was charged when the chain's last word became too old

    @property
    def unclaimed(self) -> int:
        """What was charged, and can still be claimed."""
        most = min(self.book.charged, self.book.held.voucher.amount, self.book.deposit.balance)
        return max(0, most - self.book.deposit.claimed)

    @property
    def lost(self) -> int:
        """What was charged and the deposit has no more."""
        return max(0, min(self.book.charged, self.book.held.voucher.amount) - self.book.deposit.balance)

    def see(self, deposit: Deposit, now: float) -> None:
        """What the chain says of the channel, and when it said so. An older block's word changes nothing."""
        if deposit.block >= self.book.deposit.block:
            self.book = replace(self.book, deposit=deposit)
            self.seen_at, self._blind = now, None

    def take(self, voucher: SignedVoucher) -> bool:
        """Keep it if it is worth more than the one held; whether it is. It was checked.

        One of the same amount under another signature is no news, and a lower one takes nothing back.
        """
        if voucher.voucher.amount <= self.book.held.voucher.amount:
            return False
        self.book = replace(self.book, held=voucher)
        return True

    def begin(self, ceiling: int) -> Sale:
        """An answer that may cost up to `ceiling`. Nothing of it is covered yet."""
        sale = Sale(ceiling)
        self._open.add(sale)
        return sale

    def cover(self, sale: Sale, amount: int, now: float) -> Owed | None:
        """Have vouchers cover so much of the sale's price in all: None when they do, else what is said to its payer.

        NotCovered where no voucher could: the deposit is too small, or was seen too long ago.
        """
        if sale not in self._open or not 0 <= amount <= sale.ceiling:
            raise ValueError("that sale is over, or cannot cost so much")
        if amount <= sale.covered:
            return None
        others = sum(other.covered for other in self._open if other is not sale)
        needed = self.book.charged + others + amount
        if needed > self.book.deposit.most:
            raise NotCovered(_short(self.book.deposit, needed), needed - self.book.deposit.most)
        self._look(others + amount, now)
        if needed > self.book.held.voucher.amount:
            return Owed(charged=self.book.charged, needed=Amount(needed), held=self.book.held)
        sale.covered = amount
        return None

    def charge(self, sale: Sale, price: int) -> None:
        """It was delivered, with what proves it. ValueError over what is covered: it must not have been sent."""
        if sale not in self._open or not 0 <= price <= sale.covered:
            raise ValueError(f"a price of {price}, and {sale.covered} is covered")
        self._open.discard(sale)
        self.book = replace(self.book, charged=Amount(self.book.charged + price))

    def drop(self, sale: Sale) -> None:
        """It was not delivered, or not proved: nothing is charged."""
        self._open.discard(sale)

    def _look(self, under_way: int, now: float) -> None:
        """A withdrawal that begins right after a look may end a delay later; the second half of it is for claiming."""
        if now - self.seen_at <= self.book.config.withdraw_delay / 2:
            return
        if self._blind is None:
            self._blind = self.book.charged
        if self.book.charged - self._blind + under_way > self._step:
            raise NotCovered("the chain cannot be seen, and no more is answered until it can", 0)


def _short(deposit: Deposit, needed: int) -> str:
    leaving = f", of which {show_amount(deposit.withdrawing)} are being withdrawn" if deposit.withdrawing else ""
    said = f"the channel's deposit is {show_amount(deposit.balance)}{leaving}"
    return f"{said}; with this answer vouchers are {show_amount(needed)}: top it up"
