"""Founding a network on a chain: its contracts deployed, and the network file that others join with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from settle.chain import Chain, Sender, open_sender
from settle.deploy import COIN, DEVNETS, Terms, deploy, devnet_terms, open_bare, public_terms
from settle.errors import ChainError
from settle.replies import binary
from storage import open_store
from wire.keys import NodeKey, show_address
from wire.network import Network

from ..control import Emit
from ..datadir import DataDir
from ..errors import CommandError, Exit
from ..networkfile import new_network

USUAL_COMMITTEE = 16  # members, or all verifiers where they are fewer
FAUCET_TOKENS = 10_000_000 * COIN  # of a devnet's: a hundredth of all


@dataclass(frozen=True)
class Plan:
    """What was asked for. Zero, empty and None: as the kind of chain has it."""

    rpcs: tuple[str, ...]
    name: str
    verifiers: Sequence[str]  # peer ids, of the epoch that the network begins with
    bootstraps: Sequence[str] = ()
    committee: int = 0
    epoch: int = 0  # seconds
    lead: int = 0  # seconds from an epoch's opening until peers follow it
    confirmations: int | None = None
    token: str = ""
    symbol: str = ""
    public: bool | None = None  # the terms of a public chain, or those of a devnet
    chain_id: int = 0  # of the chain that was meant


async def found_network(directory: DataDir, key: NodeKey, plan: Plan, emit: Emit) -> Network:
    """Deploy the contracts from the account with this key, and describe the network that they make.

    What was interrupted goes on when it is called again with the same plan. ChainError when the chain says no,
    StoreError when another process has the data directory.
    """
    with open_store(directory.store) as store:
        async with open_bare(plan.rpcs, plan.confirmations) as chain:
            _check_chain(plan, chain)
            terms = _terms(plan, chain)
            async with open_sender(chain, key, store.transactions) as sender:
                await _need_coins(chain, sender, emit)

                def say(text: str) -> None:
                    emit({"event": "deploying", "text": text})

                deployed = await deploy(plan.name, chain, sender, terms, say)
                beacon = bytes(await chain.call(deployed.spec.epochs, "Epochs", "beaconOf", 0))
                if chain.domain.chain_id in DEVNETS:
                    await _fill_faucet(chain, sender, deployed.spec.token, f"{plan.name} {deployed.registry.hex()}")
    committee = plan.committee or USUAL_COMMITTEE  # however few verify at first: it holds for all epochs to come
    network = new_network(plan.name, plan.verifiers, committee=committee, bootstraps=plan.bootstraps)
    return msgspec.structs.replace(
        network, chain_id=chain.domain.chain_id, contract=deployed.registry, beacon=beacon, chain=deployed.spec
    )


def _check_chain(plan: Plan, chain: Chain) -> None:
    if plan.chain_id not in (0, (found := chain.domain.chain_id)):
        said = f"the RPC speaks for chain {found}, and chain {plan.chain_id} was meant"
        raise CommandError(Exit.CHAIN, said, "Give an RPC of that chain: --rpc URL")


def _terms(plan: Plan, chain: Chain) -> Terms:
    public = chain.domain.chain_id not in DEVNETS if plan.public is None else plan.public
    make = public_terms if public else devnet_terms
    terms = make(plan.epoch) if plan.epoch else make()
    return replace(
        terms,
        token=plan.token or terms.token,
        symbol=plan.symbol or terms.symbol,
        lead=plan.lead or terms.lead,
        confirmations=chain.spec.confirmations,
    )


async def _need_coins(chain: Chain, sender: Sender, emit: Emit) -> None:
    """On a devnet an account without coins is given some; elsewhere the first transaction says what is missing."""
    if chain.domain.chain_id not in DEVNETS or await chain.balance(sender.address):
        return
    try:
        sent = await chain.rpc.call("hallmark_fund", "0x" + sender.address.hex())
        for one in sent if isinstance(sent, list) else []:
            await sender.mined(binary(one, "hallmark_fund", 32))
    except ChainError:
        return
    emit({"event": "deploying", "text": f"the devnet's faucet paid {show_address(sender.address)} coins for gas"})


async def _fill_faucet(chain: Chain, sender: Sender, token: bytes, name: str) -> None:
    """A devnet's faucet gets tokens to hand out; a chain of another make has none."""
    try:
        about = await chain.rpc.call("hallmark_faucet")
        faucet = binary(about.get("address") if isinstance(about, dict) else None, "hallmark_faucet", 20)
    except ChainError:
        return
    await sender.send(f"deploy {name} faucet", token, "HallmarkToken", "transfer", faucet, FAUCET_TOKENS)
    await chain.rpc.call("hallmark_token", "0x" + token.hex())
