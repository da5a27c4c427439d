"""`wallet.balance`, `wallet.send`: what an account has, and paying from it."""

from __future__ import annotations

import secrets
from typing import Any

from settle.chain import Chain, Done
from wire.keys import show_address

from ..chain.carrying import carry
from ..chain.opening import Purse, the_chain, the_sender
from ..chain.wallets import account_address
from ..control import Emit


async def show_balance(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """What `address` has, or the account `account`: of the token and of the chain's coin, in the smallest units."""
    chain = the_chain(purse)
    name = params["account"] or purse.local.config.account
    address = params["address"] or account_address(purse.local.directory, name)
    return {"address": show_address(address)} | await balances(chain, address)


async def send_money(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Pay `amount` of the smallest unit to `to`: of the token, or with `coin` of the chain's own.

    Every call is a payment of its own. Who stops waiting does not stop a payment that was sent.
    """
    chain, sender = the_chain(purse), the_sender(purse)
    to, amount = params["to"], params["amount"]
    purpose = f"wallet send {secrets.token_hex(8)}"

    async def send() -> Done:
        if params["coin"]:
            return await sender.transfer(purpose, to, amount)
        return await sender.send(purpose, chain.spec.token, "HallmarkToken", "transfer", to, amount)

    done = await carry(chain, sender, purpose, "the payment", emit, send)
    return {
        "from": show_address(sender.address),
        "to": show_address(to),
        "amount": amount,
        "coin": params["coin"],
        "transaction": "0x" + done.hash.hex(),
        "block": done.block,
        "gas": done.gas,
        "fee": done.fee,
        "left": await balances(chain, sender.address),
    }


async def balances(chain: Chain, address: bytes) -> dict[str, Any]:
    """An account's tokens and coins now, and what the token is called."""
    token = chain.spec.token
    symbol = str(await chain.call(token, "HallmarkToken", "symbol"))
    return {
        "tokens": int(await chain.call(token, "HallmarkToken", "balanceOf", address)),
        "coins": await chain.balance(address),
        "symbol": "".join(c for c in symbol[:16] if c.isprintable()),
    }
