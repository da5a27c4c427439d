"""Peers of the previous release and of this one are one network: links, gossip, models, names, certificates."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import trio

from node.config import Config
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from node.opening import RELEASE, open_peer
from wire.cid import from_cid
from wire.keys import NodeKey, show_address
from wire.name import name_key
from wire.network import Network

from . import before, made
from .running import Ended, Event, Node, eventually, hallmark, settle, to_its_end
from .town import add

X = f"x={json.dumps([made.ROW])}"
LOGS = [math.log(v) for v in made.ROW]

pytestmark = pytest.mark.skipif(
    not before.in_history(), reason=f"SKIPPED: commit {before.COMMIT}, the previous release, is not in a history here"
)


@dataclass
class Mixed:
    """`old` and `new` have every role, `judge` is a verifier of the previous release."""

    place: Path
    network: Network
    program: tuple[str, ...]
    old: Node
    new: Node
    judge: Node
    cids: dict[str, str]

    def ask_as_old(self, *words: object) -> Ended:
        """A command of the previous release, in its node's data directory."""
        return to_its_end([*self.program, *map(str, words), "--data-dir", str(self.old.directory.path)])

    def owner(self, node: Node) -> str:
        return show_address(node.key.address)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Mixed]:
    """All three are up and connected; `old` publishes `logs` and `new` publishes `twin`, and nobody has pulled yet."""
    place = tmp_path_factory.mktemp("mixed")
    program = before.unpack(place / "release")
    directories = {name: settle(place / name) for name in ("old", "new", "judge")}
    keys: dict[str, NodeKey] = {name: load_key(directory.key) for name, directory in directories.items()}
    network = new_network("mixed", [key.peer_id for key in keys.values()])
    with ExitStack() as ending:
        nodes = {}
        for name, directory in directories.items():
            keep_network(directory, network)
            roles = ("verifier",) if name == "judge" else ("hub", "provider", "verifier")
            nodes[name] = Node(directory, keys[name], roles)
            ending.callback(nodes[name].kill)
        for name in ("old", "judge"):
            nodes[name].program = (*program, "serve", "--data-dir")
        old, new, judge = nodes.values()
        new.start()
        old.launch(new.address)
        judge.launch(new.address)
        old.wait_ready()
        judge.wait_ready()
        cids = {}
        for node, name in ((old, "logs"), (new, "twin")):
            cids[name] = str(trio.run(add, node, models / f"{name}.onnx")["cid"])
        yield Mixed(place, network, program, old, new, judge, cids)


async def _peers(node: Node) -> list[Event]:
    return list((await node.call("peers"))["peers"])


async def test_each_hears_by_gossip_who_is_there_and_what_is_offered(mixed: Mixed) -> None:
    async def hears(node: Node, others: list[Node]) -> bool:
        known = {peer["peer_id"]: peer for peer in await _peers(node)}
        return all(known.get(other.key.peer_id, {}).get("roles") for other in others)

    async def offered(node: Node, name: str, provider: Node) -> bool:
        shown = await node.call("model.show", model=mixed.cids[name])
        return provider.key.peer_id in [offer["peer_id"] for offer in shown["offers"]]

    async with trio.open_nursery() as nursery:
        say = partial(nursery.start_soon, eventually)
        say(partial(hears, mixed.new, [mixed.old, mixed.judge]), "the presences of old peers at the new one")
        say(partial(hears, mixed.old, [mixed.new]), "the new peer's presence at the old one")
        say(partial(offered, mixed.new, "logs", mixed.old), "the old peer's offer at the new one")
        say(partial(offered, mixed.old, "twin", mixed.new), "the new peer's offer at the old one")


async def test_the_releases_are_what_they_say(mixed: Mixed) -> None:
    desk = settle(mixed.place / "asker", mixed.network)
    async with open_peer(desk, Config(bootstraps=(mixed.new.address,)), serving=False) as peer:

        async def told() -> bool:
            await trio.sleep(0.05)
            found = [peer.presence_of(node.key.peer_id) for node in (mixed.old, mixed.new)]
            return [presence and presence.release for presence in found] == [f"hallmark/{before.RELEASE}", RELEASE]

        await eventually(told, "both presences")
    assert f"hallmark/{before.RELEASE}" != RELEASE


async def test_names_and_providers_are_found_in_the_dht_of_the_other_release(mixed: Mixed) -> None:
    """A peer that hears no gossip asks one of each release, and finds what the other one put there."""
    for door, owner, name in ((mixed.old, mixed.new, "twin"), (mixed.new, mixed.old, "logs")):
        desk = settle(mixed.place / f"at-{door.directory.path.name}", mixed.network)
        async with open_peer(desk, Config(bootstraps=(door.address,)), serving=False) as peer:
            key = name_key(owner.key.address, name)
            await eventually(partial(peer.host.get_record, key), f"the name of {name} in the DHT")
            model = from_cid(mixed.cids[name])

            async def held(model: bytes = model, owner: Node = owner) -> bool:
                return owner.key.peer_id in await peer.host.find_providers(model)

            await eventually(held, f"a provider record of {name}")


def test_a_model_is_pulled_either_way_by_its_name(mixed: Mixed) -> None:
    newer = mixed.new.run("model", "pull", f"{mixed.owner(mixed.old)}/logs", "--json")
    assert (newer.code, newer.json["cid"]) == (0, mixed.cids["logs"]), newer.said
    older = mixed.ask_as_old("model", "pull", f"{mixed.owner(mixed.new)}/twin", "--json")
    assert (older.code, older.json["cid"]) == (0, mixed.cids["twin"]), older.said


def test_an_answer_of_either_is_certified_by_a_mixed_committee(mixed: Mixed, tmp_path: Path) -> None:
    async def pull(node: Node, name: str) -> None:
        await node.call("model.pull", model=mixed.cids[name])

    async def furnish() -> None:
        async with trio.open_nursery() as nursery:
            for node, name in ((mixed.judge, "logs"), (mixed.judge, "twin"), (mixed.new, "logs"), (mixed.old, "twin")):
                nursery.start_soon(pull, node, name)

    trio.run(furnish)
    place = tmp_path / "new.receipt"
    words = ["infer", mixed.cids["logs"], "--input", X, "--tier", "quorum", "--receipt"]
    desk = settle(tmp_path / "desk", mixed.network)
    asked = hallmark(*words, place, "--bootstrap", mixed.new.address, "--json", directory=desk)
    assert asked.code == 0, asked.said
    assert asked.json["outputs"][0]["data"] == pytest.approx(LOGS, rel=1e-5)
    words[1], other = mixed.cids["twin"], tmp_path / "old.receipt"
    told = mixed.ask_as_old(*words, other, "--json")
    assert told.code == 0, told.said
    assert told.json["outputs"][0]["data"] == pytest.approx([1 + v for v in LOGS], rel=1e-5)
    file = mixed.new.directory.networks / "mixed.toml"
    for receipt in (place, other):
        for checked in (
            hallmark("verify", receipt, "--network", file, "--json"),
            mixed.ask_as_old("verify", receipt, "--network", file, "--json"),
        ):
            assert (checked.code, checked.json["valid"], checked.json["tier"]) == (0, True, "quorum"), checked.said
