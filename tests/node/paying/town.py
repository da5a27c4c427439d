"""A small town with a chain: one provider, three verifiers and a payer, each a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import trio

from node.datadir import DataDir
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from settle.accounts import create
from settle.deploy import devnet_terms
from tests.node.processes import made
from tests.node.processes.running import Ended, Node, hallmark, launch, settle, until
from tests.node.processes.town import add
from tests.settle.town import TOKEN, Town, account, found
from wire.keys import NodeKey

PRICE = 1000
RISK, PER_1K = 10_000, 1_000_000
SECRET = "a passphrase of a test"


@dataclass
class Paid:
    """The town, its chain, and whose accounts are 1 (the payer's) and 2 (the provider's)."""

    chain: Town
    payer: Node
    provider: Node
    verifiers: list[Node]
    cid: str
    backup: Path

    def restart(self, node: Node) -> None:
        """Kill it and start it on what it left on disk."""
        node.kill()
        node.start(self.payer.address if node is self.provider else self.provider.address)

    def tokens(self, address: bytes) -> int:
        """What an account has."""

        async def ask() -> int:
            async with self.chain.open() as chain:
                return int(await chain.call(self.chain.spec.token, "HallmarkToken", "balanceOf", address))

        return trio.run(ask)

    def forward(self, seconds: int) -> None:
        trio.run(self.chain.forward, seconds)

    def infer(self, *more: object, price: int = PRICE) -> Ended:
        words = ("infer", self.cid, "--input", f"x={json.dumps([made.ROW])}", "--max-price", f"{price}u")
        return self.payer.run(*words, *more, "--json")

    def publish(self, path: Path) -> str:
        """A model at the provider."""
        return str(trio.run(partial(add, self.provider, path))["cid"])

    def channels(self, node: Node) -> dict[str, list[dict[str, int]]]:
        ended = node.run("channel", "ls", "--json")
        assert ended.code == 0, ended.said
        return ended.json  # type: ignore[return-value]


def chain_at(place: Path, ending: ExitStack) -> Town:
    """A devnet as a process, with the contracts on it. An epoch is so long that none begins."""
    funded = [word for index in range(8) for word in ("--fund", account(index).address.hex())]
    words = ["-m", "settle.devnet", "--dir", str(place / "chain"), "--port", "0", "--block-time", "0.02", "--cheats"]
    out = place / "chain.out"
    with out.open("wb") as file:
        process = launch([*words, *funded], file, subprocess.DEVNULL)
    ending.callback(process.wait)
    ending.callback(process.kill)
    until(lambda: out.read_text().endswith("\n"), "the devnet")
    return trio.run(found, json.loads(out.read_text().splitlines()[0])["url"], devnet_terms(10**6))


def come_up(place: Path) -> Iterator[Paid]:
    """Start the town; its processes end when the iterator goes on."""
    with ExitStack() as ending:
        chain = chain_at(place, ending)
        backup = place / "elsewhere" / "vouchers"
        names = ("provider", "payer", "v1", "v2", "v3")
        directories = {name: settle(place / name) for name in names}
        keys = {name: load_key(directory.key) for name, directory in directories.items()}
        network = msgspec.structs.replace(
            new_network("paid", [keys[name].peer_id for name in names[2:]]),
            chain_id=chain.domain.chain_id, contract=chain.domain.contract, chain=chain.spec,
        )  # fmt: skip
        nodes = {}
        for name in names:
            keep_network(directories[name], network)
            roles = {"provider": ("hub", "provider"), "payer": ("hub",)}.get(name, ("verifier",))
            nodes[name] = Node(directories[name], keys[name], roles, price=PRICE if name == "provider" else 0)
            ending.callback(nodes[name].kill)
        _settings(directories["payer"], account(1), {})
        more = {
            "risk_limit": f"{RISK}u",
            "voucher_backup": str(backup),
            "withdraw_delay": 900,
            "price_per_1k": f"{PER_1K}u",
        }
        _settings(directories["provider"], account(2), more)
        trio.run(chain.give, account(1).address, TOKEN)
        nodes["provider"].start()
        for name in names[1:]:
            nodes[name].launch(nodes["provider"].address)
        for name in names[1:]:
            nodes[name].wait_ready()
        model = made.save(made.logarithm(), place / "logs.onnx")
        cid = str(trio.run(partial(add, nodes["provider"], model))["cid"])
        verifiers = [nodes[name] for name in names[2:]]

        async def pull() -> None:
            for node in verifiers:
                await node.call("model.pull", model=cid)

        trio.run(pull)
        town = Paid(chain, nodes["payer"], nodes["provider"], verifiers, cid, backup)
        until(lambda: all("is ready (" in node.log.read_text() for node in (nodes["provider"], *verifiers)), "models")
        yield town


def _settings(directory: DataDir, key: NodeKey, more: dict[str, object]) -> None:
    secret = directory.path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    create(directory.accounts / "owner.json", SECRET, key, cost=2)
    lines = {"passphrase_file": str(secret)} | more
    directory.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()))


__all__ = ["PER_1K", "PRICE", "RISK", "TOKEN", "Paid", "account", "come_up", "hallmark"]
