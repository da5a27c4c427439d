"""One answer's payment at its provider: covered before work begins and as tokens go out, charged once delivered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from p2p import Channel
from settle.channel.faults import BadPayment, NotCovered
from settle.channel.payee import Payee, Sale, check_voucher
from storage import StoreError
from wire.errors import ErrorCode, RemoteError
from wire.generation import Tokens
from wire.offer import Terms
from wire.payment import Owed, TopUp

from ..bounds import TOP_UP_SECONDS
from ..chain.amounts import show_amount
from .keeping import Keeper


class Selling:
    """One sale under way. RemoteError (PAYMENT) where its payer does not cover it."""

    def __init__(
        self,
        channel: Channel,
        payee: Payee,
        sale: Sale,
        terms: Terms,
        step: int,
        keeper: Keeper,
        look: Callable[[Payee], Awaitable[bool]],
    ) -> None:
        """`look` asks the chain about the channel anew; whether it said something."""
        self._channel, self._payee, self._sale = channel, payee, sale
        self._terms, self._step = terms, step
        self._keeper = keeper
        self._look = look
        self._tokens = 0  # that went out
        self.charged = False

    async def begin(self) -> None:
        """Have the first step covered; its voucher is on its way to disk."""
        await self._secure(min(self._sale.ceiling, self._step))

    @property
    def in_steps(self) -> bool:
        """Whether one step does not cover all of it, so that all tokens go out before the answer."""
        return self._sale.ceiling > self._step

    async def pace(self, tokens: Tokens) -> None:
        """Before these tokens go out: see that they are covered, and half a step before its end to the next one."""
        sent = self._terms.cost(self._tokens) if self._tokens else 0
        self._tokens += len(tokens.ids)
        used = min(self._sale.ceiling, self._terms.cost(self._tokens))
        if self._sale.covered < min(self._sale.ceiling, used + self._step // 2):
            await self._secure(min(self._sale.ceiling, max(used, sent + self._step)))

    async def ready(self, price: int) -> None:
        """Before the answer goes out: its price is covered, and its vouchers are on disk."""
        await self._secure(price)
        try:
            await self._keeper.saved()
        except StoreError as error:
            raise RemoteError(ErrorCode.INTERNAL, "this provider cannot keep your voucher: ask another") from error

    def delivered(self, price: int) -> None:
        """The answer went out, with all that proves it."""
        self._payee.charge(self._sale, price)
        self.charged = True
        self._keeper.earned(self._payee.id, self._payee.book)

    async def _secure(self, amount: int) -> None:
        owed = await self._cover(amount)
        if owed is None:
            return
        await self._channel.send(owed)
        said = await self._channel.receive(TopUp, timeout=TOP_UP_SECONDS)
        payee = self._payee
        try:
            check_voucher(payee.book.config, said.voucher, payee.domain)
        except BadPayment as error:
            raise refusal(error) from error
        if payee.take(said.voucher):
            self._keeper.earned(payee.id, payee.book)
        if (owed := await self._cover(amount)) is not None:
            held = show_amount(payee.book.held.voucher.amount)
            text = f"your vouchers are {held} in all, this answer needs {show_amount(owed.needed)}"
            raise RemoteError(ErrorCode.PAYMENT, text)

    async def _cover(self, amount: int) -> Owed | None:
        try:
            return self._payee.cover(self._sale, amount, trio.current_time())
        except NotCovered as error:
            if not await self._look(self._payee):  # it may have been topped up a moment ago
                raise refusal(error) from error
        try:
            return self._payee.cover(self._sale, amount, trio.current_time())
        except NotCovered as error:
            raise refusal(error) from error


@contextmanager
def sale_of(payee: Payee, ceiling: int) -> Iterator[Sale]:
    """A sale that is dropped where it was not charged."""
    sale = payee.begin(ceiling)
    try:
        yield sale
    finally:
        payee.drop(sale)


def refusal(error: Exception) -> RemoteError:
    """What a payer is told."""
    return RemoteError(ErrorCode.PAYMENT, str(error))
