"""Names between processes: a publisher's word reaches a hub, a desk that has just joined, and one who comes late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import trio

from node.datadir import DataDir
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from wire.keys import show_address
from wire.network import Network

from .running import Event, Node, eventually, hallmark, search, settle


@dataclass
class Village:
    """`a` publishes, and `b` is a hub that has joined it."""

    place: Path
    network: Network
    a: Node
    b: Node
    _peers: Iterator[int]

    @property
    def publisher(self) -> str:
        return show_address(self.a.key.address)

    def desk(self) -> DataDir:
        return settle(self.place / f"desk-{next(self._peers)}", self.network)

    def hub(self, ending: ExitStack) -> Node:
        directory = self.desk()
        node = Node(directory, load_key(directory.key), ("hub",))
        ending.callback(node.kill)
        return node

    def add(self, models: Path, name: str, version: str = "1.0.0", *more: str) -> Event:
        words = ["model", "add", models / "logs.onnx", "--name", name, "--version", version, "--licence", "mit", *more]
        added = self.a.run(*words, "--json")
        assert added.code == 0, added.said
        return added.json


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    directories = [settle(tmp_path / name) for name in "ab"]
    network = new_network("village", [load_key(directories[0].key).peer_id])
    nodes = []
    with ExitStack() as ending:
        for directory, role in zip(directories, ("provider", "hub"), strict=True):
            keep_network(directory, network)
            nodes.append(Node(directory, load_key(directory.key), (role,)))
            ending.callback(nodes[-1].kill)
        nodes[0].start()
        nodes[1].start(nodes[0].address)
        yield Village(tmp_path, network, nodes[0], nodes[1], count())


async def _versions(node: Node, name: str) -> dict[str, tuple[str, str | None]]:
    try:
        found = await node.call("model.versions", name=name)
    except Exception:  # nobody knows it yet
        return {}
    return {v["version"]: (v["cid"], v["withdrawn"]) for v in found["versions"]}


def wait_for(node: Node, name: str, expected: dict[str, tuple[str, str | None]]) -> None:
    """Return once `node` says so of a name's versions."""

    async def agrees() -> bool:
        return await _versions(node, name) == expected

    trio.run(partial(eventually, agrees, f"{expected} at {node.directory.path.name}: {node.words()}"))


def test_a_newcomer_finds_a_model_by_its_words_and_pulls_it_by_its_name(village: Village, models: Path) -> None:
    added = village.add(models, "logs", "1.0.0", "--tag", "maths", "--tag", "demo", "--description", "Takes logarithms")
    assert (added["licence"], added["name"]) == ("MIT", "logs")
    wait_for(village.b, f"{village.publisher}/logs", {"1.0.0": (added["cid"], None)})
    desk, ask = village.desk(), ("--bootstrap", village.b.address, "--json")
    found = search("logarithms", "--tag", "maths", "--bootstrap", village.b.address, directory=desk)
    assert [m["cid"] for m in found.json["models"]] == [added["cid"]], found.said
    for name in ("logs", f"{village.publisher.lower()}/logs@1.0.0"):
        shown = hallmark("model", "show", name, *ask, directory=desk)
        assert (shown.code, shown.json["cid"]) == (0, added["cid"]), shown.said
    assert hallmark("petname", "set", "alice", village.publisher, directory=desk).code == 0
    pulled = hallmark("model", "pull", "alice/logs", "--bootstrap", village.b.address, directory=desk)
    assert pulled.code == 0, pulled.said
    assert "Pulled logs@1.0.0" in pulled.out
    removed = hallmark("model", "rm", "alice/logs", directory=desk)
    assert (removed.code, added["cid"] in removed.out) == (0, True), removed.said


def test_what_a_publisher_corrects_and_withdraws_outlives_it(village: Village, models: Path) -> None:
    name = f"{village.publisher}/logs"
    first, second = village.add(models, "logs"), village.add(models, "logs", "1.1.0", "--task", "other")
    assert village.add(models, "logs")["cid"] == first["cid"]
    other = village.a.run("model", "add", models / "twin.onnx", "--name", "logs", "--licence", "MIT")
    assert (other.code, "model edit" in other.err) == (2, True), other.said
    edited = village.a.run("model", "edit", "logs@1.0.0", "--licence", "apache-2.0", "--tag", "new", "--json")
    assert edited.code == 0, edited.said
    corrected = edited.json["cid"]
    assert edited.json["previous"] == first["cid"] != corrected
    gone = village.a.run("model", "withdraw", "logs@1.1.0", "--reason", "wrong weights", "--yes")
    assert gone.code == 0, gone.said
    expected = {"1.1.0": (second["cid"], "wrong weights"), "1.0.0": (corrected, None)}
    wait_for(village.b, name, expected)
    village.a.kill()
    with ExitStack() as ending:
        late = village.hub(ending)
        late.start(village.b.address)
        wait_for(late, name, expected)
        assert trio.run(partial(late.call, "model.show", model=name))["cid"] == corrected
        for words in (("show", f"{name}@1.1.0"), ("pull", f"{name}@1.1.0")):
            refused = late.run("model", *words)
            assert (refused.code, "wrong weights" in refused.err) == (5, True), refused.said
        found = late.run("model", "search", "logs", "--json")
        assert [m["cid"] for m in found.json["models"]] == [corrected]
