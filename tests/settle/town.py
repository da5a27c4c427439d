"""A chain on loopback with everything deployed: for tests of whatever speaks to contracts.

async with deployed_devnet() as town:
    async with town.open() as chain, town.sender(chain, town.account(1)) as sender: ...
    await town.give(town.account(1).address, 1_000 * TOKEN)
    await town.forward(60)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from settle.chain import Chain, Sender, open_chain, open_sender
from settle.deploy import Terms, deploy, devnet_terms, open_bare
from settle.devnet import Settings, devnet_here
from wire.chain import ChainSpec
from wire.eip712 import Domain, keccak256
from wire.keys import NodeKey

from .anvil import anvil, tell

TOKEN = 10**18
ETHER = 10**18
ACCOUNTS = 24  # that have ether


class MemoryJournal:
    """A journal that lives as long as the object."""

    def __init__(self) -> None:
        self.kept: dict[tuple[bytes, str], bytes] = {}

    def put(self, whose: bytes, purpose: str, data: bytes) -> None:
        self.kept[whose, purpose] = data

    def get(self, whose: bytes, purpose: str) -> bytes | None:
        return self.kept.get((whose, purpose))

    def all(self, whose: bytes) -> list[bytes]:
        return [data for (one, _), data in self.kept.items() if one == whose]


@dataclass
class Town:
    """A deployed network. Account 0 deployed it, owns it and has all tokens; accounts 0 to 23 have ether."""

    url: str
    spec: ChainSpec
    domain: Domain
    terms: Terms
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    _gifts: int = 0

    @staticmethod
    def account(index: int) -> NodeKey:
        """An account of the town's, the same in every run."""
        return account(index)

    def open(self) -> AbstractAsyncContextManager[Chain]:
        """The chain, as a peer opens it."""
        return open_chain(self.spec, self.domain)

    def sender(self, chain: Chain, key: NodeKey) -> AbstractAsyncContextManager[Sender]:
        """An account's transactions, journalled in this town's memory."""
        return open_sender(chain, key, self.journal)

    async def give(self, address: bytes, tokens: int) -> None:
        """Tokens from account 0, in the smallest unit."""
        self._gifts += 1
        async with self.open() as chain, self.sender(chain, account(0)) as sender:
            await sender.send(f"gift {self._gifts}", self.spec.token, "HallmarkToken", "transfer", address, tokens)

    async def forward(self, seconds: int) -> None:
        """Let time pass: a block that comes so much later."""
        await tell(self.url, "evm_increaseTime", seconds)
        await tell(self.url, "evm_mine")

    async def mine(self, blocks: int = 1) -> None:
        """Empty blocks."""
        for _ in range(blocks):
            await tell(self.url, "evm_mine")


def account(index: int) -> NodeKey:
    """An account of the town's."""
    return NodeKey(keccak256(b"an account of the town" + index.to_bytes(4, "big")))


@asynccontextmanager
async def deployed_devnet(terms: Terms | None = None, *, engine: str = "devnet") -> AsyncIterator[Town]:
    """A chain that lives as long as the context, with a network on it. `engine`: our devnet, or "anvil".

    Times are the wall clock's, and `forward`.
    """
    async with ENGINES[engine]() as url:
        yield await found(url, terms or devnet_terms())


@asynccontextmanager
async def bare_devnet() -> AsyncIterator[str]:
    """Our devnet, nothing on it yet; its URL."""
    with TemporaryDirectory() as directory:
        funded = [account(index).address for index in range(ACCOUNTS)]
        settings = Settings(Path(directory), block_time=0.02, fund=tuple(funded), cheats=True)
        async with devnet_here(settings) as started:
            yield started.url


@asynccontextmanager
async def bare_anvil() -> AsyncIterator[str]:
    """Anvil, nothing on it yet; its URL."""
    async with anvil() as url:
        for index in range(ACCOUNTS):
            await tell(url, "anvil_setBalance", "0x" + account(index).address.hex(), hex(10_000 * ETHER))
        yield url


ENGINES = {"devnet": bare_devnet, "anvil": bare_anvil}


async def found(url: str, terms: Terms) -> Town:
    """Deploy everything on the chain at `url`."""
    journal = MemoryJournal()
    async with open_bare([url], terms.confirmations) as chain, open_sender(chain, account(0), journal) as sender:
        deployed = await deploy("town", chain, sender, terms)
        domain = Domain(chain_id=chain.domain.chain_id, contract=deployed.registry)
    return Town(url, deployed.spec, domain, terms, journal)
