"""Putting a network's contracts on a chain, in their order, and linking them. Each step is journalled under the
deployment's name and terms, so one that was interrupted goes on where it stopped, and one that is done is found again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from wire.chain import ChainSpec
from wire.eip712 import Domain
from wire.keys import show_address

from .chain import Chain, open_chain
from .errors import ChainError
from .replies import number
from .rpc import open_rpc
from .sender import Done, Sender

COIN = 10**18
BURNED = bytes.fromhex("000000000000000000000000000000000000dead")
DEVNETS = (1337, 31337)
PUBLIC_CONFIRMATIONS = 12
_NOBODY = bytes(20)


@dataclass(frozen=True)
class Terms:
    """What a network begins with. Times in seconds, bonds in the token's smallest unit, shares in basis points."""

    token: str
    symbol: str
    epoch: int
    window: int  # in which a root can be challenged
    answer: int  # in which a line that somebody demands has to be shown
    lead: int  # from an epoch's opening to the time from which peers follow it
    unbonding: int
    jail: int
    contest: int  # in which an accusation can be contested
    ruling: int  # and then ruled on
    provider_bond: int
    verifier_bond: int
    settler_bond: int
    hub_bond: int
    demand_bond: int
    confirmations: int
    publisher_most: int = 2_000
    verifiers: int = 1_000
    hubs: int = 300
    treasury: int = 500
    unreceipted: int = 5_000
    reporter: int = 2_000  # of what is slashed; the rest is burned
    slash: int = 10_000  # for two words about one thing, and for a wrong root
    wrong_answer: int = 3_000
    least_members: int = 3  # of a committee whose refusal counts as evidence


def devnet_terms(epoch: int = 60, *, token: str = "OPG", symbol: str = "OPG") -> Terms:
    """For a chain of one's own: epochs of a minute, small bonds, and one block is enough."""
    return Terms(
        token=token, symbol=symbol, epoch=epoch, window=max(2, epoch // 2), answer=max(2, epoch // 4),
        lead=max(1, min(60, epoch // 10)), unbonding=max(600, 4 * epoch), jail=epoch, contest=30, ruling=60,
        provider_bond=10 * COIN, verifier_bond=100 * COIN, settler_bond=100 * COIN, hub_bond=10 * COIN,
        demand_bond=COIN, confirmations=0,
    )  # fmt: skip


def public_terms(epoch: int = 7 * 86_400, *, token: str = "Hallmark", symbol: str = "HALL") -> Terms:
    """For a chain of others: epochs of a week, two days to challenge a root, three weeks to unbond."""
    return Terms(
        token=token, symbol=symbol, epoch=epoch, window=min(2 * 86_400, max(60, epoch // 3)),
        answer=min(86_400, max(30, epoch // 7)), lead=max(1, min(600, epoch // 10)),
        unbonding=min(60 * 86_400, max(21 * 86_400, 3 * epoch)),
        jail=7 * 86_400, contest=3 * 86_400, ruling=4 * 86_400, provider_bond=1_000 * COIN,
        verifier_bond=10_000 * COIN, settler_bond=10_000 * COIN, hub_bond=1_000 * COIN, demand_bond=10 * COIN,
        confirmations=PUBLIC_CONFIRMATIONS,
    )  # fmt: skip


@dataclass(frozen=True)
class Deployed:
    """A network's contracts. The registry is what its signatures are bound to."""

    registry: bytes
    spec: ChainSpec


def bare(rpcs: Sequence[str], confirmations: int) -> ChainSpec:
    """A chain on which nothing of ours stands yet."""
    return ChainSpec(
        rpcs=tuple(rpcs), token=_NOBODY, channels=_NOBODY, evidence=_NOBODY, split=_NOBODY, epochs=_NOBODY,
        confirmations=confirmations, from_block=0, lead=1,
    )  # fmt: skip


@asynccontextmanager
async def open_bare(rpcs: Sequence[str], confirmations: int | None = None) -> AsyncIterator[Chain]:
    """A chain on which nothing of ours stands yet, whichever the RPCs speak for. `confirmations` None: by its kind.

    Unavailable when none answers, WrongChain when they are of different chains.
    """
    async with open_rpc(rpcs, None) as rpc:
        chain_id = number(await rpc.call("eth_chainId"), "eth_chainId")
    if confirmations is None:
        confirmations = 0 if chain_id in DEVNETS else PUBLIC_CONFIRMATIONS
    domain = Domain(chain_id=chain_id, contract=_NOBODY)
    async with open_chain(bare(rpcs, confirmations), domain) as chain:
        yield chain


async def deploy(
    name: str, chain: Chain, sender: Sender, terms: Terms, say: Callable[[str], None] = lambda _: None
) -> Deployed:
    """Deploy everything that a network of this name needs; the sender's account owns it and holds all tokens.

    `chain` is a `bare` one. `say` is told each step. Refused or Unavailable when the chain says no: then the same call
    goes on later.
    """
    digest = hashlib.sha256(json.dumps(asdict(terms), sort_keys=True).encode()).hexdigest()[:16]
    steps = _Steps(f"deploy {name} {digest}", chain, sender, say)
    owner = sender.address
    token = await steps.put("HallmarkToken", terms.token, terms.symbol, owner)
    channels = await steps.put("Channels")
    registry = await steps.put("Registry", token.created, _parameters(terms), owner)
    evidence = await steps.put("Evidence", registry.created, _rules(terms), owner)
    split = await steps.put("Split", _shares(terms), owner, owner)
    epochs = await steps.put(
        "Epochs", token.created, channels.created, registry.created, evidence.created, split.created, _epochs(terms)
    )
    await steps.link("Registry", registry.created, "setSlashers", evidence.created, epochs.created)
    await steps.link("Split", split.created, "setEpochs", epochs.created)
    spec = ChainSpec(
        rpcs=chain.spec.rpcs,
        token=token.created,
        channels=channels.created,
        evidence=evidence.created,
        split=split.created,
        epochs=epochs.created,
        confirmations=terms.confirmations,
        from_block=token.block,
        lead=terms.lead,
    )
    return Deployed(registry.created, spec)


class _Steps:
    """The transactions of one deployment."""

    def __init__(self, purpose: str, chain: Chain, sender: Sender, say: Callable[[str], None]) -> None:
        self._purpose, self._chain, self._sender, self._say = purpose, chain, sender, say

    async def put(self, contract: str, *args: Any) -> Done:
        """A contract, and whether it is there indeed."""
        done = await self._sender.deploy(f"{self._purpose} {contract}", contract, *args)
        if not await self._chain.code(done.created):
            raise ChainError(f"The chain has nothing at {show_address(done.created)}, where {contract} was deployed")
        self._say(f"{contract} is at {show_address(done.created)}, {done.gas:,} gas")
        return done

    async def link(self, contract: str, address: bytes, function: str, *args: Any) -> None:
        """What its owner tells a contract once."""
        done = await self._sender.send(f"{self._purpose} {function}", address, contract, function, *args)
        self._say(f"{contract}.{function}, {done.gas:,} gas")


def _parameters(terms: Terms) -> dict[str, Any]:
    return {
        "unbondingSeconds": terms.unbonding, "jailSeconds": terms.jail, "reporterBps": terms.reporter, "rest": BURNED,
        "providerBond": terms.provider_bond, "verifierBond": terms.verifier_bond, "settlerBond": terms.settler_bond,
        "hubBond": terms.hub_bond,
    }  # fmt: skip


def _rules(terms: Terms) -> dict[str, Any]:
    return {
        "twoVotesBps": terms.slash, "twoCommitsBps": terms.slash, "twoReceiptsBps": terms.slash,
        "twoRootsBps": terms.slash, "wrongAnswerBps": terms.wrong_answer, "minMembers": terms.least_members,
        "contestSeconds": terms.contest, "rulingSeconds": terms.ruling,
    }  # fmt: skip


def _shares(terms: Terms) -> dict[str, int]:
    return {
        "publisherMax": terms.publisher_most, "verifiers": terms.verifiers, "hubs": terms.hubs,
        "treasury": terms.treasury, "unreceipted": terms.unreceipted,
    }  # fmt: skip


def _epochs(terms: Terms) -> dict[str, int]:
    return {
        "epochSeconds": terms.epoch, "windowSeconds": terms.window, "answerSeconds": terms.answer,
        "slashBps": terms.slash, "demandBond": terms.demand_bond,
    }  # fmt: skip
