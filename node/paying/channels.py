"""A payer's channels on the chain: made, filled, and emptied again."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from settle.chain import Chain, ChainError, Sender
from settle.channel.claims import config_arguments
from wire.books import PayerBook
from wire.eip712 import Domain
from wire.keys import address_of
from wire.offer import Offer
from wire.payment import ChannelConfig

from .reading import read_deposit, read_till

SALT = bytes(32)  # one channel between a payer's account, its node and a provider, so that it is found again


async def new_channel(chain: Chain, payer: bytes, authorizer: bytes, offer: Offer) -> PayerBook:
    """The channel of an account (`payer`) and a node (`authorizer`) with an offer's provider, with nothing in it yet.

    ChainError when the chain does not answer, or the offer names another till than the provider's own: what is paid
    there would not reach those who share in the answer's price.
    """
    terms = offer.payment
    assert terms is not None
    if await read_till(chain, address_of(offer.peer)) != terms.receiver:
        raise ChainError("its offer wants payments to another place than the network's till for it")
    config = ChannelConfig(
        payer=payer,
        payer_authorizer=authorizer,
        receiver=terms.receiver,
        receiver_authorizer=terms.receiver_authorizer,
        token=terms.token,
        withdraw_delay=terms.withdraw_delay,
        salt=SALT,
    )
    return PayerBook(config=config, provider=offer.peer)


async def deposit_into(chain: Chain, sender: Sender, domain: Domain, book: PayerBook, amount: int) -> PayerBook:
    """Pay `amount` into a channel: the books with one deposit more. ChainError when nothing was paid in.

    A deposit that was sent and not seen to its end is waited for here, and not made twice.
    """
    config, spec = book.config, chain.spec
    while True:
        purpose = f"{config.id(domain).hex()} {book.deposits}"
        allowed = int(await chain.call(config.token, "HallmarkToken", "allowance", sender.address, spec.channels))
        if allowed < amount:  # what an attempt before this one approved may be less, and may be spent
            approval = config.token, "HallmarkToken", "approve", spec.channels, amount
            await sender.send(f"approve {purpose} {amount} over {allowed}", *approval)
        done = await sender.send(
            f"deposit {purpose}", spec.channels, "Channels", "deposit", config_arguments(config), amount
        )
        book = replace(book, deposits=book.deposits + 1)
        if done.block > book.deposit.block:  # or else a process before this one made it, and it was seen there
            return book


@dataclass(frozen=True)
class Leaving:
    """How far a withdrawal is. `until`: the chain's seconds from when it can be finished; 0 when it is over."""

    amount: int
    until: int


async def withdraw(chain: Chain, sender: Sender, domain: Domain, book: PayerBook) -> Leaving:
    """Begin to take back what is left of a channel, or finish it where its delay is over. ChainError."""
    config, place = book.config, (chain.spec.channels, "Channels")
    channel = config.id(domain)
    deposit = await read_deposit(chain, channel)
    if not deposit.since:
        left = deposit.balance - max(deposit.claimed, book.owed)
        if left <= 0:
            return Leaving(0, 0)
        purpose = f"withdraw {channel.hex()} {deposit.block}"
        await sender.send(purpose, *place, "initiateWithdraw", config_arguments(config), left)
        deposit = await read_deposit(chain, channel)
    until = deposit.since + config.withdraw_delay
    if (await chain.head()).timestamp < until:
        return Leaving(deposit.withdrawing, until)
    await sender.send(
        f"withdrawn {channel.hex()} {deposit.since}", *place, "finalizeWithdraw", config_arguments(config)
    )
    return Leaving(deposit.withdrawing, 0)
