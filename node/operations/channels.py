"""`channel.ls`, `open`, `topup`, `close`, `claim`, `restore`: payment channels of both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from settle.channel.claims import claim_of
from settle.channel.faults import PaymentFault
from settle.channel.payee import check_voucher
from settle.channel.payer import Payer
from storage.backup import best, read_backup
from storage.payments import Written
from wire.books import Deposit
from wire.eip712 import Domain
from wire.errors import RecordError, RemoteError
from wire.keys import peer_id_of, public_of, show_address
from wire.offer import Offer
from wire.payment import payment_domain

from ..catalogue import ask_offers
from ..chain.amounts import show_amount
from ..chain.opening import Purse, the_chain, the_sender
from ..clock import now_ms
from ..control import Emit
from ..errors import CommandError, Exit
from ..joining import wait_for_peers
from ..local import Local
from ..paying.channels import withdraw
from ..paying.claiming import Claiming
from ..paying.earning import Earning
from ..paying.keeping import Keeper
from ..paying.spending import Spending
from ..peer import Peer


async def list_channels(purse: Purse, _: dict[str, Any], __: Emit) -> dict[str, Any]:
    """What this peer pays from, and what pays it: amounts in the token's smallest unit, deposits as last seen."""
    local = purse.local
    _domain(local)
    if isinstance(purse, Peer) and purse.spending is not None:
        await purse.spending.keeper.saved()  # what is listed is what is on disk
    paying = [
        {
            "channel": channel.hex(),
            "provider": peer_id_of(book.provider),
            "deposit": int(book.deposit.balance),
            "owed": int(book.owed),
            "claimed": int(book.deposit.claimed),
            "left": max(0, book.deposit.most - book.owed),
        }
        | _leaving(book.deposit, book.config.withdraw_delay)
        for channel, book in local.store.payments.payers().items()
    ]
    earning = [
        {
            "channel": channel.hex(),
            "payer": show_address(book.config.payer_authorizer),
            "deposit": int(book.deposit.balance),
            "voucher": int(book.held.voucher.amount),
            "charged": int(book.charged),
            "claimed": int(book.deposit.claimed),
            "unclaimed": claim_of(book).adds,
        }
        | _leaving(book.deposit, book.config.withdraw_delay)
        for channel, book in local.store.payments.payees().items()
    ]
    return {"paying": paying, "earning": earning}


async def open_channel(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Pay `deposit` into a channel with the `provider` (a peer id), made where there is none yet."""
    the_sender(peer)
    assert peer.spending is not None
    offer = await _offer_of(peer, params["provider"], emit)
    try:
        payer = await peer.spending.open(offer)
        await _pay_in(peer.spending, payer, params["deposit"], emit)
    except PaymentFault as error:
        raise CommandError(Exit.PAYMENT, str(error)) from error
    return _filled(payer)


async def top_up_channel(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Pay `deposit` more into the `channel`: a peer id, or the beginning of a channel's id."""
    the_sender(peer)
    assert peer.spending is not None
    payer = _chosen(peer.spending, params["channel"])
    try:
        await _pay_in(peer.spending, payer, params["deposit"], emit)
    except PaymentFault as error:
        raise CommandError(Exit.PAYMENT, str(error)) from error
    return _filled(payer)


async def close_channel(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Begin to withdraw what is left in the `channel`, or finish that when its delay is over."""
    chain, sender = the_chain(purse), the_sender(purse)
    async with _spending(purse) as spending:
        payer = _chosen(spending, params["channel"])
        if payer.outstanding:
            raise CommandError(Exit.BUSY, "answers are being paid from this channel now", "Try again in a moment.")
        emit({"event": "withdrawing", "text": "asking the chain to pay back what is left"})
        leaving = await withdraw(chain, sender, spending.domain, payer.book)
        await spending.look(payer)
        await spending.keeper.saved()
        head = await chain.head()
    return {
        "channel": payer.id.hex(),
        "amount": int(leaving.amount),
        "done": not leaving.until,
        "until": leaving.until,
        "seconds": max(0, leaving.until - head.timestamp),
    }


async def claim_channels(purse: Purse, _: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Claim all that was charged and not claimed yet, whatever its gas costs."""
    the_chain(purse), the_sender(purse)
    emit({"event": "claiming", "text": "claiming what was earned"})
    async with _claiming(purse) as claiming:
        await claiming.look()
        return {"claimed": await claiming.claim(everything=True)}


async def restore_channels(local: Local, params: dict[str, Any], _: Emit) -> dict[str, Any]:
    """Take over what a backup file knows better than the store. Entries of other networks, or that no payer's key
    signed, are left out and counted."""
    if "provider" in local.roles:
        text = "a node that serves keeps books of its own while it runs"
        raise CommandError(Exit.BUSY, text, "Stop it, restore, and start it again.")
    domain, backup = _domain(local), await trio.to_thread.run_sync(read_backup, Path(params["file"]))
    known, written, foreign = local.store.payments.payees(), Written(), 0
    for book in backup.books.values():
        channel = book.config.id(domain)
        try:
            check_voucher(book.config, book.held, domain)
        except PaymentFault:
            foreign += 1
            continue
        if book.config.receiver_authorizer != local.key.address:
            foreign += 1
            continue
        better = best(known[channel], book) if channel in known else book
        if better != known.get(channel):
            written.payees[channel] = better
    if written:
        await local.store.in_thread(local.store.payments.put, written)
    worth = sum(claim_of(book).adds for book in written.payees.values())
    return {"restored": len(written.payees), "unclaimed": worth, "foreign": foreign, "damaged": backup.damaged}


def _domain(local: Local) -> Domain:
    chain = local.network.chain
    if chain is None:
        text = f"network {local.network.name!r} has no chain: nothing is paid on it"
        raise CommandError(Exit.CONFIG, text, "See: hallmark chain deploy --help")
    return payment_domain(local.network.chain_id, chain.channels)


def _leaving(deposit: Deposit, delay: int) -> dict[str, Any]:
    until = deposit.since + delay if deposit.since else None
    return {"withdrawing": int(deposit.withdrawing), "withdrawn_from": until}


def _filled(payer: Payer) -> dict[str, Any]:
    return {
        "channel": payer.id.hex(),
        "provider": peer_id_of(payer.book.provider),
        "deposit": int(payer.book.deposit.balance),
        "left": payer.left,
    }


async def _pay_in(spending: Spending, payer: Payer, amount: int, emit: Emit) -> None:
    name = peer_id_of(payer.book.provider)
    emit({"event": "depositing", "text": f"paying {show_amount(amount)} into the channel with {name}"})
    await spending.deposit(payer, amount)


def _chosen(spending: Spending, text: str) -> Payer:
    """The only channel with this provider, or whose id begins so."""
    found = [
        payer
        for payer in spending.payers.values()
        if peer_id_of(payer.book.provider) == text or (len(text) >= 4 and payer.id.hex().startswith(text.lower()))
    ]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} channels fit {text!r}" if found else f"there is no channel {text!r}"
    raise CommandError(Exit.NOT_FOUND, what, "See: hallmark channel ls")


async def _offer_of(peer: Peer, provider: str, emit: Emit) -> Offer:
    """An offer of this provider that says how it is paid."""
    try:
        public = public_of(provider)
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "Copy the provider's peer id: hallmark quote MODEL") from error
    found = _payable(peer, public)
    if found is None:
        await wait_for_peers(peer, emit)
        if addresses := peer.addresses_of(public):
            peer.host.learn(provider, addresses)
        asked = dict.fromkeys([provider, *(status.peer_id for status in peer.host.connected()[:8])])
        for peer_id in asked:
            try:
                await ask_offers(peer, peer_id, None)
            except RemoteError:
                continue
            if found := _payable(peer, public):
                break
    if found is None:
        text = f"no offer of {provider} is known that says how it is paid"
        raise CommandError(Exit.NOT_FOUND, text, "It may be gone, or ask for nothing: hallmark quote MODEL")
    return found


def _payable(peer: Peer, public: bytes) -> Offer | None:
    return next((o for o in peer.board.offers(now_ms()) if o.peer == public and o.payment is not None), None)


@asynccontextmanager
async def _spending(purse: Purse) -> AsyncIterator[Spending]:
    """The running node's, or one of this command's own."""
    if isinstance(purse, Peer) and purse.spending is not None:
        yield purse.spending
        return
    async with _kept(purse.local) as keeper:
        yield Spending(purse.local, the_chain(purse), purse.sender, keeper)


@asynccontextmanager
async def _claiming(purse: Purse) -> AsyncIterator[Claiming]:
    if isinstance(purse, Peer) and purse.claiming is not None:
        yield purse.claiming
        return
    async with _kept(purse.local) as keeper:
        local = purse.local
        earning = Earning(local, the_chain(purse), keeper)
        yield Claiming(earning, local.key, purse.sender, local.config.coin_price)


@asynccontextmanager
async def _kept(local: Local) -> AsyncIterator[Keeper]:
    """Books on their way to disk, for as long as a command takes."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        keeper = Keeper(local.store)
        nursery.start_soon(keeper.run)
        try:
            yield keeper
        except Exception as error:  # carried around the nursery, which would wrap it into a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure:
        raise failure
