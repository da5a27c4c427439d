"""Settlers as processes: receipts through an outbox, one of them killed on the way, and a claim by command."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import trio

from node.config import Config
from node.datadir import DataDir
from node.opening import open_peer
from settle.accounts import create
from settle.deploy import devnet_terms
from tests.node.processes.running import Node, eventually
from tests.settle.contracts.bonds import PROVIDER, SETTLER, VERIFIER
from tests.settle.town import deployed_devnet
from tests.verify.scenes import key_of
from wire.keys import NodeKey

from .deals import Deal
from .village import Village, network_of, register, settle_in

PRICE = 10_000


def with_account(directory: DataDir, owner: NodeKey) -> DataDir:
    """The owner's keystore in the data directory, and what unlocks it in the settings."""
    secret = directory.path / "passphrase"
    secret.write_text("open sesame\n")
    secret.chmod(0o600)
    create(directory.path / "accounts" / "owner.json", "open sesame", owner, cost=2)
    directory.config.write_text(f'passphrase_file = "{secret}"\n')
    return directory


async def test_three_processes_settle_an_epoch_and_a_command_claims_it(tmp_path: Path) -> None:
    keys, provider = [key_of(f"verifier {i}") for i in range(3)], key_of("provider")
    async with deployed_devnet(devnet_terms(20)) as town:
        with ExitStack() as ending:
            for i, key in enumerate(keys):
                await register(town, key, town.account(1 + i), SETTLER | VERIFIER)
            await register(town, provider, town.account(9), PROVIDER)
            network, nodes = network_of(town, keys), list[Node]()
            for i, key in enumerate(keys):
                directory = with_account(settle_in(tmp_path / f"settler-{i}", key, network), town.account(1 + i))
                nodes.append(Node(directory, key, ("hub", "settler")))
                ending.callback(nodes[-1].kill)
                nodes[-1].start(*[node.address for node in nodes[:1] if node is not nodes[-1]])
            place = Village(town, network, [], tmp_path)
            home = with_account(settle_in(tmp_path / "provider", provider, network), town.account(9))

            config = Config(bootstraps=(nodes[0].address,))
            async with open_peer(home, config, serving=False) as peer, town.open() as chain:
                at_ms = (await chain.head()).timestamp * 1000
                assert peer.handing is not None
                for number in range(2):
                    deal = Deal(on=peer.network, at_ms=at_ms, number=number, tier="signed", price=PRICE)
                    peer.handing.add(deal.file)
                store = peer.local.store.settling

                async def handed() -> bool:
                    return len(store.handed(9)) == 2

                await eventually(handed, "settlers took both receipts")
            epoch = await place.earn(2 * PRICE)
            nodes[2].kill()  # of three with one stake, all have to sign
            nodes[2].start(nodes[0].address)
            await town.forward(15)

            async def stands(status: int) -> bool:
                said: Any = await place.ask("rootOf", epoch)
                return bool(said["status"] >= status)

            await eventually(lambda: stands(1), "a root", 100)
            await town.forward(11)
            await eventually(lambda: stands(2), "it is final", 100)
            before = await place.balance(town.account(9))
            claim = Node(home, provider, ()).run
            done = await trio.to_thread.run_sync(lambda: claim("claim", "--json", "--bootstrap", nodes[0].address))
            assert done.code == 0, done.said
            kept = 2 * (PRICE - PRICE // 100 - PRICE // 10 - PRICE * 3 // 100 - PRICE // 20)
            assert [(one["role"], one["amount"]) for one in done.json["claimed"]] == [("provider", kept)]
            assert await place.balance(town.account(9)) == before + kept
            shown = await trio.to_thread.run_sync(
                lambda: claim("epoch", "show", epoch, "--bootstrap", nodes[0].address)
            )
            assert shown.code == 0, shown.said
            assert "final" in shown.out
            assert "as provider, of 2 line(s): claimed" in shown.out
