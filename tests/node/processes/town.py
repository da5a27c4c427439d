"""The two test networks: a town of seven honest and dishonest peers, and a fort of one."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import trio

from node.datadir import DataDir
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from wire.cid import from_cid
from wire.network import Network

from .running import Event, Node, eventually, settle

_DISHONEST = ("-m", "node.demo.dishonest")


@dataclass
class Town:
    """`a` asks 1 and `b` and the liar ask 0, so that the last two are asked first by who allows 1.

    Models: `logs` at a and all verifiers, `twin` at a, the liar and three of four verifiers, `slow` at a and b and no
    verifier.
    """

    place: Path
    network: Network
    a: Node
    b: Node
    liar: Node
    verifiers: list[Node]
    cids: dict[str, str]
    _desks: count[int] = field(default_factory=count)

    @property
    def all(self) -> list[Node]:
        return [self.a, self.b, self.liar, *self.verifiers]

    def desk(self) -> DataDir:
        """A new client's directory, with the network's file in it."""
        return settle(self.place / f"desk-{next(self._desks)}", self.network)

    def file(self) -> Path:
        """The network file."""
        return self.a.directory.networks / f"{self.network.name}.toml"

    def model(self, name: str) -> bytes:
        return from_cid(self.cids[name])

    def is_ready(self) -> bool:
        """Whether every peer has loaded its models, and so offers or judges them."""
        held = zip(self.all, _MODELS_HELD, strict=True)
        return all(node.log.read_text().count(" is ready (") >= models for node, models in held)


_MODELS_HELD = (3, 1, 1, 2, 2, 2, 1)  # by a, b, the liar and the verifiers: see `Town`


def come_up(place: Path, models: Path, ending: ExitStack) -> Town:
    """Start the town; its processes end with `ending`."""
    names = ["a", "b", "liar", *(f"v{i}" for i in range(1, 5))]
    directories = {name: settle(place / name) for name in names}
    keys = {name: load_key(directory.key) for name, directory in directories.items()}
    network = new_network("town", [keys[name].peer_id for name in names[3:]])
    nodes = {}
    for name in names:
        keep_network(directories[name], network)
        roles = ("verifier",) if name.startswith("v") else ("hub", "provider")
        nodes[name] = Node(directories[name], keys[name], roles, price=int(name == "a"))
        ending.callback(nodes[name].kill)
    nodes["liar"].program = _DISHONEST
    a, b, liar, *verifiers = nodes.values()
    a.start()
    for node in [b, liar, *verifiers]:
        node.launch(a.address)
    for node in [b, liar, *verifiers]:
        node.wait_ready()
    town = Town(place, network, a, b, liar, verifiers, {})
    town.cids = trio.run(_furnish, town, models)
    return town


async def _furnish(town: Town, models: Path) -> dict[str, str]:
    takers = {"logs": town.verifiers, "twin": [town.liar, *town.verifiers[:3]], "slow": [town.b]}
    cids = {}
    for name in takers:
        cids[name] = str((await add(town.a, models / f"{name}.onnx"))["cid"])
    async with trio.open_nursery() as nursery:
        for name, nodes in takers.items():
            for node in nodes:
                nursery.start_soon(_pull, node, cids[name])
    return cids


async def add(node: Node, file: Path) -> Event:
    """Publish a file under its own name."""
    about = {"licence": "MIT", "version": "1.0.0", "task": "", "description": "", "royalty_bps": 0}
    return await node.call("model.add", path=str(file), name=file.stem, **about)


async def _pull(node: Node, cid: str) -> None:
    await node.call("model.pull", model=cid)


@dataclass
class Fort:
    """One peer that is hub, provider and the network's only verifier, with the models `logs` and `slow`."""

    place: Path
    network: Network
    node: Node
    cids: dict[str, str]
    _desks: count[int] = field(default_factory=count)

    def desk(self) -> DataDir:
        """A new client's directory, with the network's file in it."""
        return settle(self.place / f"desk-{next(self._desks)}", self.network)

    def model(self, name: str = "logs") -> bytes:
        return from_cid(self.cids[name])

    async def known_offers(self, name: str = "logs") -> list[str]:
        """The peers whose offers of a model the fort shows."""
        shown = await self.node.call("model.show", model=self.cids[name])
        return [offer["peer_id"] for offer in shown["offers"]]


def fort_at(place: Path, models: Path, ending: ExitStack) -> Fort:
    """Start the fort; its process ends with `ending`."""
    directory = settle(place / "fort")
    key = load_key(directory.key)
    network = new_network("fort", [key.peer_id])
    keep_network(directory, network)
    node = Node(directory, key, ("hub", "provider", "verifier"))
    ending.callback(node.kill)
    node.start()
    fort = Fort(place, network, node, {})

    async def furnish() -> None:
        for name in ("logs", "slow"):
            fort.cids[name] = (await add(node, models / f"{name}.onnx"))["cid"]
            await eventually(partial(fort.known_offers, name), "the fort's own offer")

    trio.run(furnish)
    return fort
