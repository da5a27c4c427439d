"""The provider's side of payment: how it wants to be paid, which channels pay it, and what they cover."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from p2p import Channel
from settle.chain import Chain, ChainError
from settle.channel.faults import BadPayment
from settle.channel.payee import Payee, check_channel, check_voucher, opened
from storage.bounds import MAX_CHANNELS
from wire.books import PayeeBook
from wire.errors import ErrorCode, RemoteError
from wire.inference import Ask
from wire.offer import Terms
from wire.payment import Payment, PaymentTerms, payment_domain

from ..bounds import LOOK_PAUSE, LOOKS_AT_ONCE, MAX_LOOKS, REST_MS
from ..local import Local
from ..signal import Signal
from .keeping import Keeper
from .pricing import step_of
from .reading import read_deposit, read_till
from .selling import Selling, refusal, sale_of

log = logging.getLogger("hallmark.paying")


class Earning:
    """What one provider knows of the channels that pay it."""

    def __init__(self, local: Local, chain: Chain, keeper: Keeper, payable: Callable[[], None] = lambda: None) -> None:
        """`payable` is called once it is known where channels pay to. StoreDamaged when its books are not what was
        written."""
        self._local, self.chain, self.keeper = local, chain, keeper
        self._payable = payable
        self.domain = payment_domain(local.network.chain_id, chain.spec.channels)
        self.payees: dict[bytes, Payee] = {}
        self.till: bytes | None = None
        self.changed = Signal()  # something is to be claimed, perhaps
        self._looks = trio.CapacityLimiter(LOOKS_AT_ONCE)
        self._looked: dict[bytes, float] = {}
        for channel, book in local.store.payments.payees().items():
            self.payees[channel] = self._payee(book)
            if book.config.receiver_authorizer == local.key.address:
                self.till = book.config.receiver

    @property
    def risk(self) -> int:
        """The most that may be unclaimed, and that is answered while the chain cannot be seen."""
        return self._local.config.risk_limit

    def terms(self, tiers: Sequence[Terms]) -> PaymentTerms | None:
        """How answers in these tiers are paid; None while it is not known where to."""
        if self.till is None:
            return None
        return PaymentTerms(
            channels=self.chain.spec.channels,
            token=self.chain.spec.token,
            receiver=self.till,
            receiver_authorizer=self._local.key.address,
            withdraw_delay=self._local.config.withdraw_delay,
            step=step_of(tiers, self.risk),
        )

    async def find_till(self) -> None:
        """Ask the chain where our channels pay to. ChainError."""
        if self.till is None:
            self.till = await read_till(self.chain, self._local.key.address)
            self._payable()

    def check(self, ask: Ask, tiers: Sequence[Terms]) -> None:
        """What can be told of a request's payment without the chain, and before its inputs are read. RemoteError."""
        terms = self.terms(tiers)
        if ask.payment is None or terms is None:
            text = "this answer costs something, and nothing comes with the request that pays for it"
            raise RemoteError(ErrorCode.PAYMENT, text)
        try:
            check_channel(ask.payment.channel, ask.request.request.payer, terms)
            check_voucher(ask.payment.channel, ask.payment.voucher, self.domain)
        except BadPayment as error:
            raise refusal(error) from error

    @asynccontextmanager
    async def selling(
        self, channel: Channel, payment: Payment, terms: Terms, tiers: Sequence[Terms], ceiling: int
    ) -> AsyncIterator[Selling]:
        """The sale of one answer whose payment `check` found good: its first step is covered. RemoteError when not."""
        payee = await self._find(payment)
        if payee.take(payment.voucher):
            self.keeper.earned(payee.id, payee.book)
        self.keeper.hurry()  # while the answer is worked on
        with sale_of(payee, ceiling) as sale:
            selling = Selling(channel, payee, sale, terms, step_of(tiers, self.risk), self.keeper, self.look)
            await selling.begin()
            yield selling
            if selling.charged and payee.unclaimed > self.risk:
                self.changed.notify()

    async def look(self, payee: Payee) -> bool:
        """Ask the chain about a channel; whether it answered. Not twice within moments."""
        now = trio.current_time()
        if now - self._looked.get(payee.id, float("-inf")) < LOOK_PAUSE:
            return False
        self._looked = {c: at for c, at in self._looked.items() if now - at < LOOK_PAUSE} | {payee.id: now}
        try:
            payee.see(await read_deposit(self.chain, payee.id), trio.current_time())
        except ChainError as error:
            log.info("a payment channel cannot be looked up: %s", error)
            return False
        self.keeper.earned(payee.id, payee.book)
        return True

    def _payee(self, book: PayeeBook) -> Payee:
        return Payee(book, self.domain, self.risk)

    async def _find(self, payment: Payment) -> Payee:
        """The channel's books; of one that is new here, once the chain has shown its deposit."""
        channel = payment.channel.id(self.domain)
        if (known := self.payees.get(channel)) is not None:
            return known
        if self._looks.statistics().tasks_waiting >= MAX_LOOKS:
            text = "too many new payment channels are being looked up: try later"
            raise RemoteError(ErrorCode.OVERLOADED, text, after_ms=REST_MS)
        async with self._looks:
            try:
                deposit = await read_deposit(self.chain, channel)
            except ChainError as error:
                text = "this payment channel is new here, and the chain cannot be seen now: try later or elsewhere"
                raise RemoteError(ErrorCode.PAYMENT, text) from error
        if deposit.most <= deposit.claimed:
            raise RemoteError(ErrorCode.PAYMENT, "that payment channel has no deposit, or not one that is deep enough")
        if (known := self.payees.get(channel)) is not None:  # meanwhile
            return known
        if len(self.payees) >= MAX_CHANNELS:  # one more on disk, and nothing at all would be written
            text = "this provider keeps as many payment channels as it can: ask another"
            raise RemoteError(ErrorCode.PAYMENT, text)
        payee = self.payees[channel] = self._payee(opened(payment, deposit))
        payee.see(deposit, trio.current_time())
        self.keeper.earned(channel, payee.book)
        return payee
