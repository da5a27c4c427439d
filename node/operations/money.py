"""`money`: how this node stands on its network's chain, and what to do next so that it can pay, earn and count."""

from __future__ import annotations

import math
import shlex
from typing import Any

import trio

from settle.chain import Chain, ChainError
from settle.channel.claims import claim_of
from settle.stake import ROLE_BITS, read_operator, role_names
from wire.keys import show_address

from ..chain.amounts import show_amount, typed_amount
from ..chain.opening import Purse, the_chain
from ..chain.wallets import account_address, account_file
from ..control import Emit
from ..errors import CommandError
from ..paying.reading import read_gas_price
from .wallet import balances

ENOUGH_GAS = 2_000_000  # a few of a node's transactions; with less it will soon stand still


async def show_money(purse: Purse, params: dict[str, Any], _: Emit) -> dict[str, Any]:
    """The account and its balance, the node's bond, the roles it counts as, and `lacks`: what is missing, each with
    the command that mends it. Amounts in the smallest unit. What the chain does not say, `within` so many seconds
    where that is given, is left out, with `problem`."""
    chain, local = the_chain(purse), purse.local
    name = local.config.account
    told: dict[str, Any] = {
        "network": local.network.name,
        "chain_id": chain.domain.chain_id,
        "account": name,
        "address": _address(purse),
        "unlocked": purse.sender is not None,
        "node": show_address(local.key.address),
        "unclaimed": sum(claim_of(book).adds for book in local.store.payments.payees().values()),
        "lacks": [],
    }
    needs = bool(_counting(purse))
    if told["address"] is None:
        if needs:
            told["lacks"].append(
                _lack("an account, which bonds, earns and pays for gas", _command(purse, "wallet new"))
            )
    elif purse.sender is None and needs:
        start = _command(purse, "serve … --passphrase-file FILE")
        told["lacks"].append(_lack(f"account {name!r} is locked here: start with what unlocks it", start))
    within = float(params.get("within", math.inf))
    try:
        with trio.move_on_after(within) as limit:
            await _ask_chain(purse, chain, told)
        if limit.cancelled_caught:
            told["problem"] = f"no RPC answered within {within:.0f} s"
    except ChainError as error:
        told["problem"] = str(error)
    return told


async def _ask_chain(purse: Purse, chain: Chain, told: dict[str, Any]) -> None:
    if told["address"] is not None:
        owner = account_address(purse.local.directory, purse.local.config.account)
        told |= await balances(chain, owner)
        told["gas_low"] = told["coins"] < ENOUGH_GAS * await read_gas_price(chain)
        if told["gas_low"]:
            text = f"it has {show_amount(told['coins'])} of the chain's coin, too little for gas"
            told["lacks"].append(_lack(text, f"{_command(purse, 'wallet faucet')}   (on a devnet; else send it coins)"))
    await _ask_bond(purse, chain, told)


async def _ask_bond(purse: Purse, chain: Chain, told: dict[str, Any]) -> None:
    one = await read_operator(chain, purse.local.key.address, await chain.head())
    told["registered"] = one is not None
    told["own"] = one.own if one else 0
    told["active"] = role_names(one.active) if one else []
    told["jailed_until_s"] = one.jailed_until if one else 0
    wanted = [role for role in _counting(purse) if role not in told["active"]]
    if not wanted:
        return
    if told["jailed_until_s"]:
        told["lacks"].append(_lack("it was slashed and is jailed", _command(purse, "stake unjail")))
        return
    registry = chain.domain.contract
    least = max([int(await chain.call(registry, "Registry", "minimumBond", ROLE_BITS[role])) for role in wanted])
    roles = [*told["active"], *wanted]
    missing = max(0, least - told["own"])
    amount = f"{typed_amount(missing)} " if missing else ""
    words = "stake " + amount + " ".join(f"--role {role}" for role in roles)
    text = f"a bond of {show_amount(least)} to count as {' and '.join(wanted)}"
    told["lacks"].append(_lack(f"{text}; {show_amount(told['own'])} are there", _command(purse, words)))


def _counting(purse: Purse) -> list[str]:
    """The roles this node runs, or is set to run, that count on the chain."""
    return [role for role in purse.local.roles or purse.local.config.roles if role in ROLE_BITS and role != "hub"]


def _address(purse: Purse) -> str | None:
    directory, name = purse.local.directory, purse.local.config.account
    try:
        return show_address(account_address(directory, name)) if account_file(directory, name).exists() else None
    except CommandError:  # a keystore that does not say its address
        return None


def _command(purse: Purse, words: str) -> str:
    return f"hallmark {words} --data-dir {shlex.quote(str(purse.local.directory.path))}"


def _lack(what: str, command: str) -> dict[str, str]:
    return {"what": what, "next": command}
