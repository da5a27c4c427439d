"""Settlers in this process, on a chain of their own: real peers, real streams, real contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import trio

from node.config import Config
from node.datadir import DataDir
from node.listening import LOOPBACK
from node.local import keep_network
from node.networkfile import new_network
from node.opening import open_peer
from node.peer import Peer
from settle.deploy import devnet_terms
from tests.settle.contracts.bonds import PROVIDER, SETTLER, VERIFIER, bind, uncompressed
from tests.settle.town import TOKEN, Town, deployed_devnet
from tests.verify.scenes import key_of
from wire.errors import RemoteError
from wire.keys import NodeKey
from wire.network import Network
from wire.settlement import AskSettled, SettledIn

BOND = 1_000 * TOKEN


@dataclass
class Village:
    """`peers` are settlers and verifiers, `verifier 0` and so on by their keys; their owners are the town's accounts
    1 and so on. `provider` is registered, its owner is account 9."""

    town: Town
    network: Network
    peers: list[Peer]
    place: Path

    async def earn(self, amount: int, who: bytes | None = None) -> int:
        """Revenue of a provider's till, as if its channels had paid it; in which epoch."""
        town, node = self.town, who or key_of("provider").address
        async with town.open() as chain, town.sender(chain, town.account(0)) as sender:
            till = await chain.call(town.spec.epochs, "Epochs", "tillOf", node)
            place = f"{node.hex()} {(await chain.head()).number}"
            await sender.send(f"pay {place}", town.spec.token, "HallmarkToken", "transfer", till, amount)
            done = await sender.send(f"collect {place}", town.spec.epochs, "Epochs", "collect", node)
        return int(next(event.values["epoch"] for event in done.events if event.name == "Collected"))

    async def balance(self, owner: NodeKey) -> int:
        """An account's tokens."""
        async with self.town.open() as chain:
            return int(await chain.call(self.town.spec.token, "HallmarkToken", "balanceOf", owner.address))

    async def ask(self, function: str, *args: object) -> object:
        """A view of the epochs' contract."""
        async with self.town.open() as chain:
            return await chain.call(self.town.spec.epochs, "Epochs", function, *args)


async def register(town: Town, node: NodeKey, owner: NodeKey, roles: int, bond: int = BOND) -> None:
    """Put a node with a bond into the registry."""
    await town.give(owner.address, 2 * bond)
    async with town.open() as chain, town.sender(chain, owner) as sender:
        deadline = (await chain.head()).timestamp + 3600
        signature = bind(node, owner.address, deadline, town.domain)
        registry, name = town.domain.contract, node.address.hex()
        await sender.send(
            f"register {name}", registry, "Registry", "register", uncompressed(node.public), roles, 0, deadline,
            signature,
        )  # fmt: skip
        await sender.send(f"approve {name}", town.spec.token, "HallmarkToken", "approve", registry, bond)
        await sender.send(f"bond {name}", registry, "Registry", "bond", node.address, bond)


def network_of(town: Town, keys: Sequence[NodeKey]) -> Network:
    """The network's file, with these verifiers from its beginning."""
    made = new_network("village", [key.peer_id for key in keys])
    return msgspec.structs.replace(made, chain_id=town.domain.chain_id, contract=town.domain.contract, chain=town.spec)


def settle_in(place: Path, key: NodeKey, network: Network) -> DataDir:
    """A data directory for this key."""
    directory = DataDir(place)
    directory.create()
    directory.key.write_text(key.secret.hex())
    directory.key.chmod(0o600)
    keep_network(directory, network)
    return directory


@asynccontextmanager
async def village(place: Path, settlers: int = 3, epoch: int = 20, up: int | None = None) -> AsyncIterator[Village]:
    """A town with settlers on it, of which `up` run."""
    keys = [key_of(f"verifier {i}") for i in range(settlers)]
    async with deployed_devnet(devnet_terms(epoch)) as town, AsyncExitStack() as stack:
        for i, key in enumerate(keys):
            await register(town, key, town.account(1 + i), SETTLER | VERIFIER)
        await register(town, key_of("provider"), town.account(9), PROVIDER)
        network = network_of(town, keys)
        peers: list[Peer] = []
        for i, key in enumerate(keys[:up]):
            bootstraps = (peers[0].host.addresses[0],) if peers else ()
            config = Config(roles=("settler",), listen=LOOPBACK, bootstraps=bootstraps)
            directory = settle_in(place / f"settler-{i}", key, network)
            opening = open_peer(directory, config, serving=True, account=town.account(1 + i))
            peers.append(await stack.enter_async_context(opening))
        with trio.fail_after(20):
            while any(len(peer.host.connected()) < len(peers) - 1 for peer in peers):  # noqa: ASYNC110 — gossip's doing
                await trio.sleep(0.05)
            for peer in peers:
                await served(peer)
        yield Village(town, network, peers, place)


async def served(peer: Peer) -> None:
    """Return once it settles: it asks its chain a few things before."""
    while True:
        try:
            async with peer.host.exchange(peer.host.peer_id, "settle") as channel:
                await channel.send(AskSettled(receipts=()))
                await channel.receive(SettledIn, timeout=5)
        except RemoteError:
            await trio.sleep(0.05)
        else:
            return
