"""The demonstration's chain: a devnet of its own, the contracts on it, an account with play money for every peer.

Its clock is late by an epoch when the network is founded. Once all have put down their bonds it is moved on, so that
the first epoch in which these count begins at once instead of an hour later.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
from rich.console import Console

from settle.accounts import create
from settle.chain import Chain
from settle.deploy import COIN, open_bare
from settle.devnet import devnet
from settle.replies import binary
from wire.keys import NodeKey
from wire.network import Network

from ..chain.deploying import Plan, found_network
from ..chain.following import Following
from ..chain.opening import the_chain, the_sender
from ..clock import now_ms
from ..datadir import DataDir
from ..local import keep_network
from ..peer import Peer
from .peers import Member

EPOCH = 3600  # seconds; also what a demonstration does not wait for
LEAD = 4  # seconds from an epoch's opening until peers follow it
CHEAP = 2**12  # what a passphrase costs to try: nothing here is worth more
BONDS = {"provider": 100, "hub": 50, "verifier": 200, "settler": 200}  # tokens for each role


@dataclass(frozen=True)
class Bank:
    """The demonstration's chain. `founder` owns the contracts, and what the treasury has is its own."""

    url: str
    chain: Chain
    founder: NodeKey

    async def forward(self, seconds: int) -> None:
        """Let so much time pass on the chain."""
        await self.chain.rpc.call("evm_increaseTime", seconds)
        await self.chain.rpc.call("evm_mine")


def open_account(directory: DataDir) -> NodeKey:
    """An account in the data directory, and the file with its passphrase."""
    passphrase = secrets.token_urlsafe(16)
    place = passphrase_file(directory)
    place.touch(mode=0o600)
    place.write_text(passphrase + "\n")
    return create(directory.accounts / "owner.json", passphrase, cost=CHEAP)


def passphrase_file(directory: DataDir) -> Path:
    """Where `open_account` put the passphrase."""
    return directory.path / "passphrase"


@asynccontextmanager
async def founded(place: Path, members: Sequence[Member], client: DataDir, screen: Console) -> AsyncIterator[Bank]:
    """A chain with a network of these members on it, whose file all of them have, while the block runs."""
    async with devnet(place / "chain", behind=EPOCH) as running:
        founder_directory = DataDir(place / "founder")
        founder_directory.create()
        founder = NodeKey.generate()
        verifiers = [m.key.peer_id for m in members if "verifier" in m.roles]
        plan = Plan(rpcs=(running.url,), name="demo", verifiers=verifiers, epoch=EPOCH, lead=LEAD)
        network = await found_network(founder_directory, founder, plan, lambda _: None)
        assert network.chain is not None
        _tell(running.url, network, screen)
        for directory in [*(m.directory for m in members), client]:
            keep_network(directory, network)
        async with open_bare((running.url,)) as chain:
            yield Bank(running.url, chain, founder)


def _tell(url: str, network: Network, screen: Console) -> None:
    assert network.chain is not None
    named = {"registry": network.contract, "channels": network.chain.channels, "epochs": network.chain.epochs}
    where = "  ".join(f"{name} 0x{address.hex()[:8]}…" for name, address in named.items())
    screen.print(f"  chain  {url}, a devnet: one process of this demonstration makes its blocks")
    screen.print(f"         {where}")


async def fund(bank: Bank, accounts: Sequence[bytes]) -> None:
    """Coins and tokens from the devnet's faucet for these accounts."""
    sent = []
    for account in accounts:
        answer = await bank.chain.rpc.call("hallmark_fund", "0x" + account.hex())
        sent += [binary(one, "hallmark_fund", 32) for one in answer]
    for transaction in sent:
        while await bank.chain.rpc.call("eth_getTransactionReceipt", "0x" + transaction.hex()) is None:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def put_down_bonds(members: Sequence[Member], screen: Console) -> None:
    """Each member's bond for its roles, from its own account, by its own process."""

    async def one(member: Member) -> None:
        amount = sum(BONDS[role] for role in member.roles) * COIN
        asked = {"amount": amount, "roles": list(member.roles), "commission": None}
        await member.call("stake", asked, lambda _: None)
        screen.print(f"  bond   {member.name:<11} {amount // COIN:>4} for {', '.join(member.roles)}")

    screen.print("  Each puts down a bond, tokens that it loses of when it cheats:")
    async with trio.open_nursery() as nursery:
        for member in members:
            nursery.start_soon(one, member)


async def follow(peer: Peer) -> None:
    """Wait until the epoch holds that was opened last, for this peer and all others."""
    following = Following(peer.local, the_chain(peer))
    while await following.look() == 0:  # noqa: ASYNC110  a chain tells nobody
        await trio.sleep(0.1)
    await trio.sleep(max(0.0, (peer.network.from_ms - now_ms()) / 1000) + 0.5)


async def next_epoch(bank: Bank, peer: Peer, epoch: int) -> None:
    """Move the chain's clock on by an epoch, and open the next one: settlers would, each in its turn."""
    await bank.forward(EPOCH)
    await the_sender(peer).send(f"open epoch {epoch}", the_chain(peer).spec.epochs, "Epochs", "open")
