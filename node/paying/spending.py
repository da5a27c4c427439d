"""The payer's side of payment: its channels by provider, what it may spend, and one answer's purchase."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import trio
from msgspec.structs import replace

from settle.chain import Chain, ChainError, Sender
from settle.channel.budget import DAY_MS, Budget, Limits, Reserved
from settle.channel.faults import Disputed, NotCovered, OverBudget, PaymentFault
from settle.channel.payer import Payer, Purchase
from wire.canonical import Amount
from wire.errors import ErrorCode, RemoteError
from wire.keys import address_of, peer_id_of
from wire.offer import Offer
from wire.payment import Owed, Payment, PaymentTerms, SignedVoucher, TopUp, Voucher, payment_domain, sign_voucher

from ..chain.amounts import show_amount
from ..clock import now_ms
from ..local import Local
from ..tiers.rung import NotProved, NotWanted
from .channels import deposit_into, new_channel
from .keeping import Keeper
from .reading import read_deposit

log = logging.getLogger("hallmark.paying")


class Spending:
    """The channels that this peer pays from."""

    def __init__(self, local: Local, chain: Chain, sender: Sender | None, keeper: Keeper) -> None:
        """StoreDamaged when its books are not what was written."""
        self._local, self.chain, self.sender, self.keeper = local, chain, sender, keeper
        self.domain = payment_domain(local.network.chain_id, chain.spec.channels)
        self.payers = {c: Payer(book, self.domain) for c, book in local.store.payments.payers().items()}
        config = local.config
        limits = Limits(config.max_per_request, config.max_per_day, config.max_per_provider)
        self.budget = Budget(limits, local.store.payments.spent(now_ms() // DAY_MS - 1))
        self._opening: dict[bytes, trio.Lock] = {}
        self._depositing = trio.Lock()  # the contract's allowance is one for all channels of the account
        self._stale: set[bytes] = set()

    def room(self, offer: Offer) -> int | None:
        """The most that an answer by this offer may cost within the limits; None where nothing limits it."""
        return self.budget.room(address_of(offer.peer), now_ms())

    def find(self, offer: Offer) -> Payer | None:
        """The channel with most left that pays for answers by this offer."""
        fit = [p for p in self.payers.values() if offer.payment and self._fits(p, offer.payment)]
        return max(fit, key=lambda payer: payer.left, default=None)

    async def buy(self, offer: Offer, ceiling: int, spare: int | None = None) -> Bought:
        """A purchase of an answer that may cost up to `ceiling`. RemoteError (PAYMENT) when it cannot be paid.

        `spare`: what its provider may be believed to have charged beside, for an answer that was lost; None: as much as
        was signed for.
        """
        terms, name = offer.payment, peer_id_of(offer.peer)
        if terms is None:
            raise RemoteError(ErrorCode.PAYMENT, "its offer does not say how it is paid")
        if (terms.channels, terms.token) != (self.chain.spec.channels, self.chain.spec.token):
            raise RemoteError(ErrorCode.PAYMENT, "it wants to be paid over another contract than the network's")
        if terms.receiver_authorizer != address_of(offer.peer):
            raise RemoteError(ErrorCode.PAYMENT, "it wants another node to be paid for its answers")
        try:
            reserved = self.budget.reserve(address_of(offer.peer), ceiling, now_ms())
        except OverBudget as error:
            raise RemoteError(ErrorCode.PAYMENT, str(error)) from error
        try:
            async with self._opening.setdefault(offer.peer, trio.Lock()):
                payer = await self._channel(offer, ceiling)
                purchase = payer.begin(ceiling, max(1, terms.step))
        except (PaymentFault, ChainError) as error:
            self.budget.end(reserved, 0, now_ms())
            raise RemoteError(ErrorCode.PAYMENT, f"{name} cannot be paid: {error}") from error
        except BaseException:  # cancelled: what was set aside for it is free again
            self.budget.end(reserved, 0, now_ms())
            raise
        return Bought(self, payer, purchase, reserved, spare)

    def sign(self, payer: Payer, voucher: Voucher) -> SignedVoucher:
        """A voucher with our signature; the books say that it was given."""
        self.keeper.owed(payer.id, payer.book)
        return sign_voucher(voucher, self._local.key, self.domain)

    def doubt(self, payer: Payer) -> None:
        """Its provider finds it too small: the chain is asked before it is used again."""
        self._stale.add(payer.id)

    async def look(self, payer: Payer) -> None:
        """Ask the chain what the channel holds. ChainError."""
        payer.see(await read_deposit(self.chain, payer.id))
        self.keeper.owed(payer.id, payer.book)

    def _fits(self, payer: Payer, terms: PaymentTerms) -> bool:
        config = payer.book.config
        return (
            (config.receiver, config.receiver_authorizer) == (terms.receiver, terms.receiver_authorizer)
            and config.token == terms.token
            and config.payer_authorizer == self._local.key.address
            and config.withdraw_delay >= terms.withdraw_delay
        )

    async def _channel(self, offer: Offer, ceiling: int) -> Payer:
        """The channel for an answer, opened or topped up where this account's settings allow it."""
        payer = self.find(offer)
        if payer is not None and (payer.id in self._stale or payer.left < ceiling):
            self._stale.discard(payer.id)
            await self.look(payer)  # a process that died may have filled it
        if payer is not None and payer.left >= ceiling:
            return payer
        name, amount = peer_id_of(offer.peer), self._local.config.deposit
        how = "topup" if payer else "open"
        lacks = f"has {show_amount(payer.left)} left" if payer else "is not there"
        by_hand = f"hallmark channel {how} {name} --deposit AMOUNT"
        if self.sender is None or not amount:
            why = "no account is unlocked here" if self.sender is None else "the setting deposit is 0"
            cost = f"the answer may cost {show_amount(ceiling)}"
            raise Unpaid(f"the channel with it {lacks}, {cost}, and {why}. By hand: {by_hand}")
        if payer is None:
            payer = await self.open(offer)
        missing = ceiling - payer.left
        if missing > 0:
            await self.deposit(payer, max(amount, missing))
        return payer

    async def open(self, offer: Offer) -> Payer:
        """The channel with an offer's provider, whether there is anything in it or not. ChainError, Unpaid."""
        assert offer.payment is not None
        if self.sender is None:
            raise Unpaid("no account is unlocked here that could pay into a channel")
        if (known := self.find(offer)) is not None:
            return known
        book = await new_channel(self.chain, self.sender.address, self._local.key.address, offer)
        payer = Payer(book, self.domain)
        await self.look(payer)  # it may have been used before, by a store that was lost
        self.payers[payer.id] = payer
        return payer

    async def deposit(self, payer: Payer, amount: int) -> None:
        """Pay into a channel. ChainError, Unpaid."""
        if self.sender is None:
            raise Unpaid("no account is unlocked here that could pay into a channel")
        async with self._depositing:
            made = await deposit_into(self.chain, self.sender, self.domain, payer.book, amount)
            payer.book = replace(payer.book, deposits=made.deposits)  # answers were paid meanwhile
        self.keeper.owed(payer.id, payer.book)
        await self.keeper.saved()
        await self.look(payer)


class Unpaid(PaymentFault):
    """There is no channel to pay from, and none may be opened here."""


class Bought:
    """One purchase under way. It ends with `ending`."""

    def __init__(
        self, spending: Spending, payer: Payer, purchase: Purchase, reserved: Reserved, spare: int | None
    ) -> None:
        self._spending, self._payer = spending, payer
        self._purchase, self._reserved, self._spare = purchase, reserved, spare
        self._asked = 0
        self._price: int | None = None

    @property
    def payment(self) -> Payment:
        """What goes with the request."""
        payer = self._payer
        return Payment(channel=payer.book.config, voucher=self._spending.sign(payer, payer.voucher()))

    def top_up(self, said: Owed, used: int) -> TopUp:
        """The answer to a provider that needs more, when so much came as costs `used`. RemoteError (PAYMENT)."""
        if said.needed <= self._asked:
            raise RemoteError(ErrorCode.PAYMENT, "it asks for the same voucher twice")
        self._asked = said.needed
        owed = self._payer.book.owed
        try:
            voucher = self._payer.answer(self._purchase, said, used, self._spare)
        except (Disputed, NotCovered) as error:
            raise RemoteError(ErrorCode.PAYMENT, str(error)) from error
        if (more := self._payer.book.owed - owed) > 0:
            log.warning("a provider charged %d more than this peer knew of, which is believed once", more)
            self._spending.keeper.spent(*self._spending.budget.add(self._reserved.provider, more, now_ms()))
        return TopUp(voucher=self._spending.sign(self._payer, voucher))

    def proved(self, price: Amount) -> None:
        """The answer is proved, at this price."""
        self._price = price

    @contextmanager
    def ending(self) -> Iterator[None]:
        """While the answer is under way; how the block ends decides what is owed."""
        price = 0
        try:
            yield
            assert self._price is not None
            price = self._price
            self._payer.accept(self._purchase, price)
        except NotWanted:
            self._payer.lose(self._purchase)
            raise
        except NotProved:
            self._payer.reject(self._purchase)
            raise
        except RemoteError as error:
            if error.code is ErrorCode.PAYMENT:
                self._spending.doubt(self._payer)
            self._payer.lose(self._purchase)
            raise
        except BaseException:  # cancelled: what was signed for it may be drawn all the same
            self._payer.lose(self._purchase)
            raise
        finally:
            spending = self._spending
            key, spent = spending.budget.end(self._reserved, price, now_ms())
            if price:
                spending.keeper.spent(key, spent)
            spending.keeper.owed(self._payer.id, self._payer.book)
