"""A provider's watch on its channels: withdrawals are seen in time, and what was charged is claimed when it pays."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import trio
from msgspec.structs import replace

from settle.chain import Chain, ChainError, Sender
from settle.channel.claims import Claim, claim_arguments, claim_digest, due
from wire.eip712 import Domain
from wire.keys import NodeKey

from ..bounds import MAX_WATCH_PAUSE, WATCH_SECONDS
from .earning import Earning
from .reading import changed_since, read_deposit, read_gas_price

log = logging.getLogger("hallmark.paying")


class Claiming:
    """`run` until cancelled; `claim` at any time. Without an account nothing is claimed, and that is logged once."""

    def __init__(self, earning: Earning, key: NodeKey, sender: Sender | None, coin_price: int) -> None:
        """`coin_price`: how many tokens one of the chain's coins is worth."""
        self._earning, self._key, self._sender = earning, key, sender
        self._coin_price = coin_price
        self._seen: int | None = None  # the last block that was looked at
        self._claiming = trio.Lock()
        self._warned = False
        self._claimed = True  # since the till was emptied last, as far as this process knows

    async def run(self) -> None:
        """Look at the chain again and again, and claim what is due. A chain that is silent is asked less often."""
        pause = WATCH_SECONDS
        while True:
            seen = self._earning.changed.count
            try:
                await self._earning.find_till()
                await self.look()
                await self.claim()
                pause = WATCH_SECONDS
            except ChainError as error:
                log.warning("payments are not looked after now: %s", error)
                pause = min(MAX_WATCH_PAUSE, 2 * pause)
            await self._earning.changed.wait(pause, since=seen)

    async def look(self) -> None:
        """Learn what happened to our channels. ChainError when the chain does not say."""
        chain, payees = self._earning.chain, dict(self._earning.payees)
        head = (await chain.head()).number
        since = self._seen
        if since is None:
            since = min((payee.book.deposit.block for payee in payees.values()), default=head)
        touched = await changed_since(chain, max(since + 1, chain.spec.from_block), head)
        for channel in touched & payees.keys():
            await self._see(channel, head)
        now = trio.current_time()
        for channel in payees.keys() - touched:  # nothing happened to them, up to this block
            payee = payees[channel]
            if payee.book.deposit.block >= since:
                payee.see(replace(payee.book.deposit, block=max(head, payee.book.deposit.block)), now)
        self._seen = head

    async def claim(self, *, everything: bool = False) -> int:
        """Claim what is due, or `everything` that was charged; how much. ChainError when that fails."""
        async with self._claiming:
            if self._claimed and self._sender is not None:
                await self._collect_left(self._sender)
            books = [payee.book for payee in self._earning.payees.values()]
            gas = 0 if everything else await read_gas_price(self._earning.chain) * self._coin_price
            batches = due(books, gas, self._earning.risk)
            if not batches:
                return 0
            if self._sender is None:
                if not self._warned:
                    log.warning("payments wait to be claimed, and no account is unlocked here: hallmark wallet new")
                self._warned = True
                return 0
            claimed = 0
            for batch in batches:
                claimed += await self._bring(batch, self._sender)
            return claimed

    async def _bring(self, batch: Sequence[Claim], sender: Sender) -> int:
        chain, domain = self._earning.chain, self._earning.domain
        digest = claim_digest(batch, domain)
        signature = self._key.sign(digest)
        self._claimed = True
        try:
            done = await sender.send(
                f"claim {digest.hex()}", chain.spec.channels, "Channels", "claimWithSignature",
                claim_arguments(batch), signature[:64] + bytes([signature[64] + 27]),
            )  # fmt: skip
            await sender.send(f"collect {done.hash.hex()}", chain.spec.epochs, "Epochs", "collect", self._key.address)
            self._claimed = False
        finally:  # whatever came of it: the next batch is made from what the chain says now
            await self._see_all(batch, chain, domain)
        got = sum(claim.adds for claim in batch)
        log.info("claimed %d from %d payment channel(s), for %d gas", got, len(batch), done.gas)
        return got

    async def _collect_left(self, sender: Sender) -> None:
        """Collect what was claimed by a process that died before it did."""
        chain, till = self._earning.chain, self._earning.till
        if till is None:
            return
        sums = await chain.call(chain.spec.channels, "Channels", "receivers", till, chain.spec.token)
        if sums["totalClaimed"] > sums["totalSettled"]:
            purpose = f"collect {till.hex()} {sums['totalClaimed']}"
            await sender.send(purpose, chain.spec.epochs, "Epochs", "collect", self._key.address)
        self._claimed = False

    async def _see_all(self, batch: Sequence[Claim], chain: Chain, domain: Domain) -> None:
        try:
            head = (await chain.head()).number
            for claim in batch:
                await self._see(claim.book.config.id(domain), head)
        except ChainError as error:
            log.info("the claimed channels are looked at later: %s", error)

    async def _see(self, channel: bytes, block: int) -> None:
        payee, chain = self._earning.payees[channel], self._earning.chain
        was = payee.book.deposit
        now = await read_deposit(chain, channel, block)
        payee.see(now, trio.current_time())
        self._earning.keeper.earned(channel, payee.book)
        if now.withdrawing and not was.withdrawing:
            log.info("a payer withdraws %d from channel %s", now.withdrawing, channel.hex())
            self._earning.changed.notify()
        if payee.lost:
            log.error("%d that were earned are gone with a withdrawal from channel %s", payee.lost, channel.hex())
